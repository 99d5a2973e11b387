"""The Git server's image for a registry: made of the image that the lab runs on this machine, and
of the programs that are mounted into that image there."""

from __future__ import annotations

import json

from sopslab.config.places import GIT_SERVER_USER, Lab
from sopslab.errors import LabError
from sopslab.lab.observe.docker import image_labels
from sopslab.lab.observe.registry import recorded_images
from sopslab.lab.store.bench import Bench
from sopslab.lab.store.containers import Container, image_bench
from sopslab.lab.store.tars import new_tar
from sopslab.lab.tools import files
from sopslab.lab.tools.docker import ask_docker
from sopslab.lab.tools.relay import IN_POD
from sopslab.layout import git_pod_sources
from sopslab.model.images import GIT_SERVER, PushedImage
from sopslab.model.wire import encode

# The image's name on this machine, and the label that says what it is made of.
_HERE = "sops-lab/git-server:pushed"
_MADE_OF = "sops-lab.made-of"
_HUB = "docker.io/"


def push(lab: Lab, image: str, registry: str, made_of: str) -> None:
    """Push the Git server's image to a registry, and record its digest.

    Raises LabError where the registry does not accept the image, and Failed.

    + image: the image of the embedded server
    + registry: the registry, with the path below which the image is pushed
    + made_of: the digest of that image and of the programs, which becomes the tag
    """
    repository = f"{registry}/{GIT_SERVER}"
    target = f"{repository}:{made_of}"
    with image_bench(lab) as place:
        # A new image of the same parts would have another digest, if only for its times.
        if image_labels(_HERE).get(_MADE_OF) != made_of:
            _assemble(place, image, made_of)
        place.run("docker", "tag", _HERE, target)
        try:
            place.run(
                "docker", "push", "--quiet", target,
                otherwise=f"{target} could not be pushed: does that registry answer, and may this"
                f" Docker write there (`docker login {registry.partition('/')[0]}`)?",
            )  # fmt: skip
            digests = ("image", "inspect", "--format", "{{json .RepoDigests}}")
            said = place.run("docker", *digests, target)
        finally:
            ask_docker("rmi", target)
    digest = _digest(json.loads(said), repository)
    # Another lab of this root may pull from another registry: those records stay.
    pushed = {**recorded_images(lab), registry: PushedImage(made_of, f"{repository}@{digest}")}
    files.write(lab.pushed_images, json.dumps(encode(pushed)))


def _assemble(place: Bench, image: str, made_of: str) -> None:
    container = Container(place, image, "--network", "none")
    programs = place.folder / "programs.tar"
    with new_tar(programs) as packed:
        for path, source in git_pod_sources().items():
            packed.text(f"srv/git/policy/{path}", source.read_bytes())
        # A link from the place of a lab's Git data to the place of the server's.
        packed.link(f"{IN_POD.git_dir.removeprefix('/')}", "/srv/git")
    container.unpack(programs)
    container.commit(
        _HERE,
        {_MADE_OF: made_of},
        "ENV PYTHONPATH=/srv/git/policy PYTHONPYCACHEPREFIX=/tmp/bytecode",
        'ENTRYPOINT ["/usr/bin/python3", "-m", "sopslab.gitserver"]',
        "CMD []",
        f"USER {GIT_SERVER_USER}:{GIT_SERVER_USER}",
    )


def _digest(digests: list[str], repository: str) -> str:
    """Return the digest that an image has in a repository. Raises LabError if it has none."""
    # Docker omits the name of its own registry.
    names = (repository, repository.removeprefix(_HUB))
    for known in digests:
        name, _, digest = known.partition("@")
        if name in names:
            return digest
    raise LabError(f"Docker does not tell the digest under which it pushed to {repository}")
