"""A bundle, written: the same bytes for the same store, product and key."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sopslab.artifacts.catalog import ARCHES
from sopslab.artifacts.sbom import merged
from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab import beginning
from sopslab.lab.bundles.contents import licences, parts_of
from sopslab.lab.bundles.plain import end_archive, write_file
from sopslab.lab.bundles.product import Product, pack_product, product_for
from sopslab.lab.bundles.signing import sign
from sopslab.lab.store.members import pack, packed, using
from sopslab.lab.tools import files
from sopslab.model.bundles import FORMAT, BundledFile, BundleManifest
from sopslab.model.members import Member
from sopslab.model.store import Arch, Entry, Source
from sopslab.model.wire import encode

BEGINNING, PARTS, LICENCES = "beginning.py", "sbom.cdx.json", "licences/"

# What is at work, how many bytes are done, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Contents:
    """What is going to be in a bundle.

    `product` is the version, `catalog` the digest of what is pinned.
    """

    product: str
    catalog: str
    source: Source
    arch: Arch
    entries: tuple[Entry, ...]
    pythons: tuple[str, ...]


@dataclass(frozen=True)
class Other:
    """A bundle of other processors, whose members are kept here: its manifest, and the texts that
    were beside them."""

    manifest: BundleManifest
    texts: Mapping[str, bytes]


@dataclass(frozen=True)
class Written:
    """A bundle that was written: its files, and what its manifest says."""

    paths: tuple[Path, ...]
    manifest: BundleManifest
    sha256: str

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(path.stat().st_size for path in self.paths)


def create(
    lab: Lab,
    contents: Contents,
    output: Path,
    progress: Progress,
    *,
    split: int | None = None,
    key: Path | None = None,
    take_in: Callable[[], Other] | None = None,
) -> Written:
    """Write a bundle, which appears whole; parts of an older one are gone then.

    Raises LabError where something of it cannot be had, the other bundle does not fit, or the key
    does not sign.

    + split: the size of a part in bytes; without one it is a single file
    + key: who signs
    + take_in: what returns a bundle of other processors that becomes part of this one
    """
    if not output.parent.is_dir() or output.is_dir():
        raise LabError(
            f"{output} cannot be written: name a file in a folder that is there", Exit.INPUT
        )
    product = product_for(contents.arch, contents.pythons)
    with using(lab, product.content):
        members = pack_contents(lab, contents, product, progress)
        found = licences(lab, members)
        document = parts_of(lab, members, contents.product)
        arches, texts, without = {contents.arch}, dict(found.texts), set(found.without)
        if take_in is not None:
            other = take_in()
            _check_fit(contents, other.manifest)
            members += other.manifest.members
            document = merged(document, json.loads(other.texts[PARTS]))
            arches |= set(other.manifest.arches)
            texts |= {name: text for name, text in other.texts.items() if name.startswith(LICENCES)}
            without |= set(other.manifest.without_licence)
        texts = {
            BEGINNING: Path(beginning.__file__).read_bytes(),
            PARTS: json.dumps(document, indent=1).encode(),
            **dict(sorted(texts.items())),
        }
        manifest = BundleManifest(
            format=FORMAT,
            product=contents.product,
            catalog=contents.catalog,
            source=contents.source,
            arches=tuple(arch for arch in ARCHES if arch in arches),
            pythons=contents.pythons,
            files=tuple(
                BundledFile(name, len(text), hashlib.sha256(text).hexdigest())
                for name, text in texts.items()
            ),
            members=tuple(members),
            without_licence=tuple(sorted(without)),
        )
        told = json.dumps(encode(manifest), indent=1).encode()
        signature = sign(told, key) if key is not None else b""
        head = {beginning.MANIFEST: told, beginning.SIGNATURE: signature, **texts}
        with files.new_folder(output) as new:
            written = _write(new / output.name, head, lab, members, progress, split)
            paths = tuple(path.rename(output.with_name(path.name)) for path in written)
        # The last first: whenever this is killed, the next run finds all that are left.
        for older in (output, *reversed(list(beginning.parts_beside(output)))):
            if older not in paths:
                older.unlink(missing_ok=True)
        return Written(paths, manifest, hashlib.sha256(told).hexdigest())


def _check_fit(contents: Contents, other: BundleManifest) -> None:
    """Raise LabError where another bundle is not of the same, for other processors."""
    if contents.arch in other.arches:
        raise LabError(f"the other bundle is for {contents.arch}, too", Exit.INPUT)
    own = (contents.product, contents.catalog, sorted(contents.pythons))
    if own != (other.product, other.catalog, sorted(other.pythons)):
        raise LabError(
            "the other bundle was made by another version of sops-lab, with another catalog or for"
            " other versions of Python: make both by the same",
            Exit.INPUT,
        )


def pack_contents(
    lab: Lab, contents: Contents, product: Product, progress: Progress
) -> list[Member]:
    """Pack what is not packed yet, and return the members of a bundle, the product first: with it
    everything begins.

    Raises LabError if an entry is not in the store, or a Python package is not available.
    """
    total = len(contents.entries) + 1
    progress("packing the product", 0, total)
    members = [pack_product(lab, product)]
    for number, entry in enumerate(sorted(contents.entries, key=lambda entry: entry.key), 1):
        progress(f"packing {entry.key}", number, total)
        members += pack(lab, [entry.key])
    return members


def _write(
    path: Path,
    head: Mapping[str, bytes],
    lab: Lab,
    members: Sequence[Member],
    progress: Progress,
    split: int | None,
) -> list[Path]:
    total, done = sum(member.size for member in members), 0
    with closing(_Output(path, split)) as sink:
        for name, text in head.items():
            write_file(sink, name, len(text), io.BytesIO(text))
        for member in members:
            progress(f"writing {member.name}", done, total)
            with packed(lab, member).open("rb") as content:
                write_file(sink, f"members/{member.file}", member.size, content)
            done += member.size
        end_archive(sink)
    return sink.paths


class _Output:
    """A file, or its parts of a size each."""

    def __init__(self, path: Path, split: int | None) -> None:
        self._path = path
        self._split = split
        self._file: IO[bytes] | None = None
        self._left = 0
        self.paths: list[Path] = []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, piece: bytes, /) -> int:
        view = memoryview(piece)
        while view:
            if self._file is None or self._left == 0:
                self._next()
            written = self._file.write(view[: self._left]) if self._file else 0
            self._left -= written
            view = view[written:]
        return len(piece)

    def _next(self) -> None:
        self.close()
        number = len(self.paths) + 1
        name = self._path.name if self._split is None else f"{self._path.name}.{number:03}"
        self.paths.append(self._path.with_name(name))
        self._file = self.paths[-1].open("wb")
        self._left = self._split or 1 << 62
