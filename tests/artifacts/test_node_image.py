"""The image of a kind node, as it was assembled for this machine."""

from __future__ import annotations

from sopslab.artifacts.catalog import load_catalog
from sopslab.layout import CNI_LABEL, PROJECT
from tests.artifacts.conftest import docker

SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"


def test_no_layer_of_an_image_is_copied_to_a_nodes_own_volume() -> None:
    image = load_catalog(PROJECT / "artifacts" / "catalog.yaml").node_tag
    label = f'{{{{index .Config.Labels "{CNI_LABEL}"}}}}'
    assembled = docker("image", "inspect", "--format", label, image) == "static"

    def find(*what: str) -> set[str]:
        node = ("--rm", "--network", "none", "--volume", "/var", "--entrypoint", "find")
        return set(docker("run", *node, image, *what).splitlines())

    assert find(SNAPSHOTS, "-mindepth", "1", "-not", "-type", "l") == set()
    layers = find("-L", SNAPSHOTS, "-mindepth", "2", "-maxdepth", "2", "-name", "fs", "-type", "d")
    links = find(SNAPSHOTS, "-type", "l")
    # In kind's own image, the images are packed.
    assert bool(links) == assembled
    assert layers == {f"{link}/fs" for link in links}
