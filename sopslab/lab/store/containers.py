"""How recipes use Docker: one container to work in, removed when the recipe ends, and nothing left
behind by a killed run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import Bench, bench
from sopslab.lab.tools.docker import ask_docker, labelled_containers

_LABEL = "sops-lab.build"


@contextmanager
def image_bench(lab: Lab) -> Iterator[Bench]:
    """Yield a bench to work with Docker at, alone, after removing what a killed run has left."""
    if ask_docker("info", "--format", ".").code:
        raise LabError("Docker does not answer: start it, then run again")
    with bench(lab, "image") as place:
        _clear(place)
        try:
            yield place
        finally:
            _clear(place)


@contextmanager
def pulled(place: Bench, reference: str) -> Iterator[None]:
    """Have an image of a registry while the block runs. One that was not there before is removed
    after it, with its containers."""
    if ask_docker("image", "inspect", reference).code == 0:
        yield
        return
    place.run(
        "docker", "pull", "--quiet", reference,
        otherwise=f"{reference} could not be pulled: does its registry answer, and has it this"
        " digest? What was there stays",
    )  # fmt: skip
    try:
        yield
    finally:
        _clear(place)
        place.run("docker", "rmi", reference)


def _clear(place: Bench) -> None:
    left = labelled_containers(_label(place))
    if left:
        place.run("docker", "rm", "--force", "--volumes", *left)


def _label(place: Bench) -> str:
    return f"{_LABEL}={place.store}"


def base_image(place: Bench, entry: str) -> str:
    """Give Docker what an entry of the store holds; return the image's id."""
    archive = place.store / entry / "image.tar"
    if archive.is_file():
        # "Loaded image ID: sha256:…", or "Loaded image: name" for a named one.
        loaded = place.run("docker", "load", "--quiet", "--input", str(archive))
        return loaded.splitlines()[-1].partition(": ")[2]
    with (place.store / entry / "rootfs.tar").open("rb") as packed:
        return place.run("docker", "import", "-", stdin=packed)


class Container:
    """A container to work in, which does nothing by itself."""

    def __init__(self, place: Bench, image: str, *options: str) -> None:
        self._place = place
        self._id = place.run(
            "docker", "create", "--label", _label(place), "--entrypoint", "sleep", *options, image,
            "infinity",
        )  # fmt: skip
        place.run("docker", "start", self._id)

    def run(
        self,
        *command: str,
        options: Sequence[str] = (),
        stdin: IO[bytes] | None = None,
        otherwise: str = "",
    ) -> str:
        """Return what a command in it prints. Raises as `Bench.run`."""
        if stdin is not None:
            options = ["--interactive", *options]
        return self._place.run(
            "docker", "exec", *options, self._id, *command, stdin=stdin or b"", otherwise=otherwise
        )  # fmt: skip

    def succeeds(self, *command: str) -> bool:
        """Return whether a command in it succeeds."""
        return ask_docker("exec", self._id, *command).code == 0

    def unpack(self, archive: Path) -> None:
        """Unpack a tar archive at its root, and remove the archive."""
        with archive.open("rb") as packed:
            self._place.run("docker", "cp", "-", f"{self._id}:/", stdin=packed)
        archive.unlink()

    def export(self, archive: Path) -> None:
        """Write all its files to a tar archive."""
        self._place.run("docker", "export", "--output", str(archive), self._id)

    def commit(self, image: str, labels: Mapping[str, str], *changes: str) -> None:
        """Commit it as the image of this name."""
        before = ask_docker("image", "inspect", "--format", "{{.Id}}", image).text
        labelled = [f"LABEL {name}={json.dumps(text)}" for name, text in labels.items()]
        # The container's own label and entry point are not the image's.
        all_changes = [*labelled, *changes, f'LABEL {_LABEL}=""']
        self._place.run("docker", "stop", "--time", "0", self._id)
        self._place.run(
            "docker", "commit", *(f"--change={change}" for change in all_changes), self._id, image
        )
        # The image that had the name before is of no use, unless a node still runs on it.
        if before:
            ask_docker("rmi", before)
