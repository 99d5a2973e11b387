"""Images in one archive, as `docker save` writes it. Docker itself does not see them: it may have
images of these names that are somebody's."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sopslab.errors import LabError
from sopslab.lab.store.tars import new_tar
from sopslab.lab.tools.files import sha256
from sopslab.model.recipes import StaticImage

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USERS = (("root", 0), ("nobody", 65534), ("nonroot", 65532))
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def pack_images(
    archive: Path, images: Iterable[StaticImage], store: Path, base: str, arch: str
) -> None:
    """Write an archive with an image for every program. It is two layers: the program, below what
    lies around it, so that images of one program share it on the node, too.

    + base: the entry of the store with the root file system that certificates are taken from
    """
    certificates = _certificates(store / base / "rootfs.tar")
    listed: list[dict[str, Any]] = []
    programs: dict[tuple[str, str], str] = {}
    added: set[str] = set()
    layer = archive.with_name("layer.tar")
    with new_tar(archive) as packed:

        def add_layer() -> str:
            name = sha256(layer)
            if name not in added:
                packed.file(_file_of(name), layer)
            added.add(name)
            layer.unlink()
            return name

        for image in images:
            program = (image.program, image.path)
            if program not in programs:
                with new_tar(layer) as files:
                    files.file(image.path, store / image.program)
                programs[program] = add_layer()
            _pack_surroundings(layer, image, store, certificates)
            layers = [programs[program], add_layer()]
            config = _config(image, layers, arch)
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            packed.text(name, config)
            paths = [_file_of(one) for one in layers]
            listed.append({"Config": name, "RepoTags": [image.image], "Layers": paths})
        packed.text("manifest.json", json.dumps(listed))


def _pack_surroundings(layer: Path, image: StaticImage, store: Path, certificates: bytes) -> None:
    """Write a layer: what a static program needs, or a root file system; and links."""
    rootfs = image.rootfs and store / image.rootfs / "rootfs.tar"
    with new_tar(layer, rootfs or None) as packed:
        if not rootfs:
            packed.folder("tmp", 0o1777)
            packed.text(_CERTIFICATES, certificates)
            packed.text(
                "etc/passwd",
                "".join(f"{name}:x:{uid}:{uid}::/:/sbin/nologin\n" for name, uid in _USERS),
            )
        for name, target in image.links.items():
            packed.link(name, target)


def _file_of(layer: str) -> str:
    return f"{layer}/layer.tar"


def _config(image: StaticImage, layers: list[str], arch: str) -> bytes:
    return json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": [f"/{image.entrypoint}"],
                "WorkingDir": "/",
                "Env": [f"PATH={_PATH}"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
        }
    ).encode()


def _certificates(rootfs: Path) -> bytes:
    with tarfile.open(rootfs) as packed:
        try:
            content = packed.extractfile(f"./{_CERTIFICATES}")
        except KeyError:
            content = None
        if content is None:
            raise LabError(f"{rootfs} has no {_CERTIFICATES}: add ca-certificates to its packages")
        return content.read()
