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
    """Write an archive with an image of one layer for every program.

    + base: the entry of the store with the root file system that certificates are taken from
    """
    certificates = _certificates(store / base / "rootfs.tar")
    listed: list[dict[str, Any]] = []
    with new_tar(archive) as packed:
        for number, image in enumerate(images, 1):
            layer = archive.with_name("layer.tar")
            _pack_layer(layer, image, store, certificates)
            config = _config(image, sha256(layer), arch)
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            packed.file(f"{number}/layer.tar", layer)
            packed.text(name, config)
            listed.append(
                {"Config": name, "RepoTags": [image.image], "Layers": [f"{number}/layer.tar"]}
            )
            layer.unlink()
        packed.text("manifest.json", json.dumps(listed))


def _pack_layer(layer: Path, image: StaticImage, store: Path, certificates: bytes) -> None:
    """Write a layer: the program, on the few files that a static one needs, or on a root file
    system."""
    rootfs = image.rootfs and store / image.rootfs / "rootfs.tar"
    with new_tar(layer, rootfs or None) as packed:
        if not rootfs:
            packed.folder("tmp", 0o1777)
            packed.text(_CERTIFICATES, certificates)
            packed.text(
                "etc/passwd",
                "".join(f"{name}:x:{uid}:{uid}::/:/sbin/nologin\n" for name, uid in _USERS),
            )
        packed.file(image.path, store / image.program)
        for name, target in image.links.items():
            packed.link(name, target)


def _config(image: StaticImage, layer: str, arch: str) -> bytes:
    return json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "config": {
                "User": image.user,
                "Entrypoint": [f"/{image.path}"],
                "WorkingDir": "/",
                "Env": [f"PATH={_PATH}"],
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
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
