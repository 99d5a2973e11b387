"""The image of a kind node, assembled from the store, with the images that its cluster runs."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import Bench
from sopslab.lab.store.containers import Container, base_image, image_bench
from sopslab.lab.store.images import pack_images
from sopslab.lab.store.tars import new_tar
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.recipes import ArchivedImage, NodeImagePlan, StaticImage

_CONTAINERD_S = 30
_KEPT_IN = "/var/lib/containerd"
# Unpacking mounts, and an overlay file system cannot write to another one: hence a volume.
_VOLUME = "/preload"
# Each layer of an image, unpacked.
_SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
# Not below /var, which is a volume of each node: Docker copies to it all that the image has there.
# Here the layers stay in the image, as an overlay file system can read from another one.
_LAYERS = "/kind/layers"
# What kind's files are run from.
_PROGRAMS = ("usr/local/bin", "kind/bin")
# What kind's images/base/Dockerfile does once the packages are there.
_SETTLE = r"""
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo "ReadKMsg=no" >>/etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl --quiet enable kubelet.service containerd.service undo-mount-hacks.service
systemctl --quiet mask systemd-binfmt.service
: >/etc/machine-id
"""
_HOOK = {"path": "/kind/bin/mount-product-files.sh"}
_CTR = ("ctr", "--namespace", "k8s.io")
# They are pinned: the kubelet never removes them.
_PIN = "io.cri-containerd.pinned=pinned"


def assemble(lab: Lab, plan: NodeImagePlan, image: str, labels: dict[str, str]) -> None:
    """Make the image, and give it its name in Docker.

    + image: the name
    """
    with image_bench(lab) as place:
        base = base_image(place, plan.base)
        options = ["--network", "none"]
        if plan.kind is not None:
            options += [
                *("--stop-signal", "SIGRTMIN+3", "--env", "container=docker"),
                *("--privileged", "--volume", _VOLUME),
            ]
        container = Container(place, base, *options)
        if plan.kind is not None:
            _add_files(place, container, plan, place.store / plan.kind / "files")
            _settle(place, container)
        _preload(place, container, plan)
        container.commit(image, labels, 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]')
        if plan.kind is None:
            place.run("docker", "rmi", "--no-prune", base)


def _add_files(place: Bench, container: Container, plan: NodeImagePlan, kind: Path) -> None:
    """Add kind's own files and the node's programs to the container."""
    files = place.folder / "files.tar"
    with new_tar(files) as packed:
        for file in sorted(kind.rglob("*")):
            if file.is_file():
                name = PurePosixPath(file.relative_to(kind))
                packed.file(str(name), file, 0o755 if str(name.parent) in _PROGRAMS else 0o644)
        for path, program in plan.programs.items():
            packed.file(path, place.store / program)
        for path, target in plan.links.items():
            packed.link(path, target)
        packed.folder("etc/kubernetes/manifests")
        packed.text("kind/version", f"{plan.kubernetes}\n")
        packed.text("etc/cni/net.d/10-sops-lab.conflist", json.dumps(plan.network))
    container.unpack(files)


def _settle(place: Bench, container: Container) -> None:
    container.run(
        "sh", "-euc", _SETTLE,
        otherwise="the node's root file system could not be set up: see above",
    )  # fmt: skip
    spec = json.loads(container.run("ctr", "oci", "spec"))
    files = place.folder / "spec.tar"
    with new_tar(files) as packed:
        packed.text("etc/containerd/cri-base.json", json.dumps(hooked(spec)))
    container.unpack(files)


def hooked(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a container's specification without limits, and with kind's hook."""
    process, hooks = (spec.get(part) or {} for part in ("process", "hooks"))
    before = hooks.get("createContainer") or []
    return {
        **spec,
        "process": {name: value for name, value in process.items() if name != "rlimits"},
        "hooks": {**hooks, "createContainer": [*before, _HOOK]},
    }


def _preload(place: Bench, container: Container, plan: NodeImagePlan) -> None:
    """Give the node's containerd the images of its cluster, so that nothing is pulled or loaded
    later."""
    root = _KEPT_IN if plan.kind is None else _VOLUME
    container.run("containerd", "--root", root, options=["--detach"])
    if not wait_until(lambda: container.succeeds("ctr", "version"), _CONTAINERD_S, pause=0.1):
        raise LabError("containerd did not start in the node image that is being made")
    for image in plan.preload:
        if isinstance(image, ArchivedImage):
            _import_named(container, image.image, place.store / image.archive / "image.tar")
    static = [image for image in plan.preload if isinstance(image, StaticImage)]
    if static:
        archive = place.folder / "images.tar"
        pack_images(archive, static, place.store, plan.base, plan.arch)
        # Unpacked here, not at the start of every node; and as with kind's own setting
        # `discard_unpacked_layers`, what has been unpacked is not kept twice.
        _import(container, archive)
        archive.unlink()
        container.run(*_CTR, "content", "prune", "references")
    container.run("pkill", "-x", "containerd")
    if not wait_until(lambda: not container.succeeds("pgrep", "-x", "containerd"), _CONTAINERD_S):
        raise LabError("containerd did not end in the node image that is being made")
    if root != _KEPT_IN:
        _move_in(container)
    container.run("sh", "-euc", "rm -rf /run/containerd /tmp/*")


def _move_in(container: Container) -> None:
    """Bring what was unpacked in the volume to where the node's containerd looks for it."""
    snapshots = f"{_KEPT_IN}/{_SNAPSHOTS}"
    container.run("mv", f"{_VOLUME}/{_SNAPSHOTS}", _LAYERS)
    container.run("cp", "-a", _VOLUME, _KEPT_IN)
    container.run("mkdir", "--mode", "0700", snapshots)
    layers = container.run("ls", _LAYERS).split()
    container.run("ln", "-s", *(f"{_LAYERS}/{layer}" for layer in layers), snapshots)


def _import_named(container: Container, image: str, archive: Path) -> None:
    """Import an archive that has an image under the name that it is kept by."""
    _import(container, archive, "--no-unpack")
    kept_as = f"docker.io/sops-lab/preload/{image.rpartition('/')[2]}"
    container.run(*_CTR, "images", "tag", "--force", kept_as, image)
    container.run(*_CTR, "images", "rm", kept_as)
    container.run(*_CTR, "images", "label", image, _PIN)


def _import(container: Container, archive: Path, *options: str) -> None:
    with archive.open("rb") as packed:
        container.run(*_CTR, "images", "import", f"--label={_PIN}", *options, "-", stdin=packed)
