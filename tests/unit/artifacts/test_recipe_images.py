"""Recipes that assemble images: the content of the images, and the orders to Docker."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store import derived, git_image, node_image
from sopslab.lab.store.images import pack_images
from sopslab.lab.store.node_image import hooked
from sopslab.lab.store.tars import new_tar
from sopslab.model.recipes import (
    ArchivedImage,
    DerivedPlan,
    GitImagePlan,
    NodeImagePlan,
    StaticImage,
)
from tests.unit.artifacts.conftest import StandIn, entry, stored

# Keeps its input in $GIVEN: the imported images under their name, other archives by number.
DOCKER = """
case "$*" in
"create "*) echo c0ffee ;;
"load "*) echo "Loaded image: kept/node:v1" ;;
"import -") cat >/dev/null; echo sha256:base ;;
"image inspect --format {{.Id}} "*) echo sha256:before ;;
"image inspect "*) exit 1 ;;
"export "*) echo files >"$3" ;;
"cp - c0ffee:/") cat >"$GIVEN/$(ls "$GIVEN" | wc -l).tar" ;;
"exec c0ffee ctr oci spec") echo '{"process": {"rlimits": [1], "args": ["sh"]}, "linux": {}}' ;;
"exec c0ffee pgrep "*) exit 1 ;;
"exec c0ffee ls /kind/layers") echo 1; echo 2 ;;
*" images import "*) cat >"$GIVEN/images.tar" ;;
esac
"""
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots"


@pytest.fixture
def given(stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in for docker keeps its input."""
    folder = tmp_path / "given"
    folder.mkdir()
    monkeypatch.setenv("GIVEN", str(folder))
    stand_in("docker", DOCKER)
    return folder


def rootfs(place: Lab, key: str, files: dict[str, str]) -> None:
    """Put a root file system into the store, as mmdebstrap writes it."""
    archive = Path(place.store, key, "rootfs.tar")
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w") as packed:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            if text.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, text[2:]
            member.size = 0 if text.startswith("->") else len(text)
            packed.addfile(member, io.BytesIO(text.encode()))


def content(archive: Any) -> dict[str, str]:
    """Return the content of a tar archive: modes of folders, targets of links, and texts with
    modes."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        for member in packed.getmembers():
            assert (member.uid, member.gid) == (0, 0)
            file = packed.extractfile(member) if member.isreg() else None
            text = f" {file.read().decode()}" if file else f" -> {member.linkname}".rstrip(" ->")
            found[member.name.removeprefix("./")] = f"{member.mode:o}{text}"
    return found


def static(**more: Any) -> StaticImage:
    usual: dict[str, Any] = {
        "image": "host.example/one:v1", "program": "one-1.0/bin/one", "path": "usr/local/bin/one",
        "entrypoint": "usr/local/bin/one", "user": "65532", "rootfs": None, "links": {},
    }  # fmt: skip
    return StaticImage(**{**usual, **more})


def packed(place: Lab, tmp_path: Path, *images: StaticImage) -> dict[str, bytes]:
    """Return the files of an archive of images."""
    archive = tmp_path / "images.tar"
    pack_images(archive, images, Path(place.store), "base-1.0", "arm64")
    assert list(tmp_path.glob("*.tar")) == [archive]
    with tarfile.open(archive) as found:
        files = {one.name: found.extractfile(one) for one in found.getmembers() if one.isreg()}
        return {name: file.read() for name, file in files.items() if file}


def test_images_are_archived_as_docker_saves_them(place: Lab, tmp_path: Path) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    stored(place, "one-1.0", {"bin/one": "program"})
    files = packed(place, tmp_path, static(), static(image="host.example/two", user="0"))
    listed = json.loads(files["manifest.json"])
    assert [image["RepoTags"] for image in listed] == [
        ["host.example/one:v1"],
        ["host.example/two"],
    ]
    for image, user in zip(listed, ("65532", "0"), strict=True):
        config = files[image["Config"]]
        assert image["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        sums = [f"sha256:{hashlib.sha256(files[layer]).hexdigest()}" for layer in image["Layers"]]
        described = json.loads(config)
        assert described["rootfs"] == {"type": "layers", "diff_ids": sums}
        assert (described["os"], described["architecture"]) == ("linux", "arm64")
        assert described["config"]["User"] == user
        assert described["config"]["Entrypoint"] == ["/usr/local/bin/one"]
    assert set(files) == {
        "manifest.json", *(image["Config"] for image in listed),
        *(layer for image in listed for layer in image["Layers"]),
    }  # fmt: skip
    # Made again, the archive is the same to the last byte.
    assert packed(place, tmp_path, static(), static(image="host.example/two", user="0")) == files


def layers(files: dict[str, bytes], number: int = 0) -> list[dict[str, str]]:
    """Return the content of the layers of an image, the lowest first."""
    image = json.loads(files["manifest.json"])[number]
    return [content(files[layer]) for layer in image["Layers"]]


def test_a_static_program_has_what_it_needs_and_nothing_else(place: Lab, tmp_path: Path) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    stored(place, "one-1.0", {"bin/one": "program"})
    files = packed(place, tmp_path, static(links={"usr/local/bin/two": "one", "sbin/three": "/a"}))
    program, around = layers(files)
    users = around.pop("etc/passwd")
    assert "nonroot:x:65532:65532::/:/sbin/nologin\n" in users
    folders = {"usr": "755", "usr/local": "755", "usr/local/bin": "755"}
    assert program == {**folders, "usr/local/bin/one": "755 program"}
    assert around == {
        **folders, "tmp": "1777", "etc": "755", "etc/ssl": "755", "etc/ssl/certs": "755",
        CERTIFICATES: "644 trusted", "usr/local/bin/two": "777 -> one",
        "sbin": "755", "sbin/three": "777 -> /a",
    }  # fmt: skip


def test_a_program_on_a_root_file_system_leaves_its_folders_as_they_are(
    place: Lab, tmp_path: Path
) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    rootfs(place, "net-1.0", {"sbin": "->usr/sbin", "usr/sbin/xtables": "x"})
    stored(place, "one-1.0", {"bin/one": "program"})
    image = static(rootfs="net-1.0", links={"usr/sbin/iptables": "xtables"})
    program, around = layers(packed(place, tmp_path, image))
    assert program["usr/local/bin/one"] == "755 program"
    assert around == {
        "sbin": "644 -> usr/sbin", "usr/sbin/xtables": "644 x",
        "usr": around["usr"], "usr/sbin": around["usr/sbin"],
        "usr/sbin/iptables": "777 -> xtables",
    }  # fmt: skip


def test_images_of_one_program_share_it_whatever_it_is_started_as(
    place: Lab, tmp_path: Path
) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    stored(place, "one-1.0", {"bin/one": "program"})
    named = {"entrypoint": "usr/local/bin/two", "links": {"usr/local/bin/two": "one"}}
    files = packed(place, tmp_path, static(), static(image="host.example/two", **named))
    one, two = json.loads(files["manifest.json"])
    assert one["Layers"][0] == two["Layers"][0]
    assert one["Layers"][1] != two["Layers"][1]
    started = [json.loads(files[image["Config"]])["config"]["Entrypoint"] for image in (one, two)]
    assert started == [["/usr/local/bin/one"], ["/usr/local/bin/two"]]
    assert layers(files, 1)[1]["usr/local/bin/two"] == "777 -> one"


def test_a_base_without_certificates_is_named(place: Lab, tmp_path: Path) -> None:
    rootfs(place, "base-1.0", {"etc/a": "a"})
    with pytest.raises(LabError, match="add ca-certificates to its packages"):
        packed(place, tmp_path, static())


def test_nothing_in_an_archive_says_when_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    with new_tar(tmp_path / "a.tar") as written:
        written.file("a/b", tmp_path / "file", 0o600)
        written.link("a/c", "b")
        written.text("a/d", "ä")
    with tarfile.open(tmp_path / "a.tar") as found:
        assert {(one.mtime, one.uname, one.gname) for one in found.getmembers()} == {(0, "", "")}
    assert content((tmp_path / "a.tar").read_bytes()) == {
        "a": "755", "a/b": "600 a", "a/c": "777 -> b", "a/d": "644 ä",
    }  # fmt: skip


def test_kinds_hook_is_added_to_a_containers_specification_and_limits_go() -> None:
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    assert hooked({"process": {"rlimits": [1], "args": ["sh"]}, "linux": {}}) == {
        "process": {"args": ["sh"]}, "linux": {}, "hooks": {"createContainer": [hook]},
    }  # fmt: skip
    before = {"hooks": {"createContainer": [{"path": "/a"}], "poststop": []}}
    assert hooked(before)["hooks"] == {
        "createContainer": [{"path": "/a"}, hook], "poststop": [],
    }  # fmt: skip


def node(**more: Any) -> NodeImagePlan:
    usual: dict[str, Any] = {
        "arch": "amd64", "base": "base-1.0", "kubernetes": "v1.37.2", "kind": "kind-files-1.0",
        "programs": {"usr/bin/kubelet": "one-1.0/bin/one"}, "links": {"usr/bin/kubeadm": "kubelet"},
        "network": {"name": "sops-lab"}, "preload": (static(),),
    }  # fmt: skip
    return NodeImagePlan(**{**usual, **more})


def test_a_node_is_assembled_from_the_store_and_none_of_it_from_a_network(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    stored(place, "one-1.0", {"bin/one": "program"})
    stored(
        place, "kind-files-1.0",
        {"files/etc/a.conf": "a", "files/usr/local/bin/entrypoint": "e", "files/kind/bin/b": "b",
         "files/usr/local/bin/deeper/c": "c"},
    )  # fmt: skip
    for file in ("usr/local/bin/entrypoint", "kind/bin/b", "usr/local/bin/deeper/c"):
        Path(place.store, "kind-files-1.0", "files", file).chmod(0o644)
    node_image.assemble(place, node(), "sops-lab/node:1", {"sops-lab.recipe": "5"})
    files = content((given / "0.tar").read_bytes())
    assert {name: text for name, text in files.items() if " " in text} == {
        "etc/a.conf": "644 a", "usr/local/bin/entrypoint": "755 e", "kind/bin/b": "755 b",
        "usr/local/bin/deeper/c": "644 c", "usr/bin/kubelet": "755 program",
        "usr/bin/kubeadm": "777 -> kubelet",
        "kind/version": "644 v1.37.2\n",
        "etc/cni/net.d/10-sops-lab.conflist": '644 {"name": "sops-lab"}',
    }  # fmt: skip
    assert files["etc/kubernetes/manifests"] == "755"
    spec = content((given / "1.tar").read_bytes())["etc/containerd/cri-base.json"]
    assert json.loads(spec.removeprefix("644 ")) == hooked({"process": {}, "linux": {}}) | {
        "process": {"args": ["sh"]}
    }
    with tarfile.open(given / "images.tar") as images:
        assert "manifest.json" in images.getnames()
    told = [call.removeprefix("docker ") for call in calls()]
    (created,) = [call for call in told if call.startswith("create ")]
    assert "--network none" in created and "--privileged --volume /preload" in created
    assert created.endswith("sha256:base infinity")
    order = [told.index(next(call for call in told if part in call)) for part in (
        "systemctl --quiet enable kubelet", "ctr oci spec", "containerd --root /preload",
        "images import --label=io.cri-containerd.pinned=pinned -", "content prune references",
        "pkill -x containerd", f"mv /preload/{SNAPSHOTS} /kind/layers",
        "cp -a /preload /var/lib/containerd", f"mkdir --mode 0700 /var/lib/containerd/{SNAPSHOTS}",
        f"ln -s /kind/layers/1 /kind/layers/2 /var/lib/containerd/{SNAPSHOTS}", "stop --time 0",
        "commit ", "rmi sha256:before",
    )]  # fmt: skip
    assert order == sorted(order)
    (committed,) = [call for call in told if call.startswith("commit ")]
    assert '--change=LABEL sops-lab.recipe="5"' in committed
    assert '--change=LABEL sops-lab.build=""' in committed
    assert committed.endswith("c0ffee sops-lab/node:1")


def test_to_kinds_own_image_the_images_of_the_store_are_added(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    for key in ("base-1.0", "two-1.0"):
        stored(place, key, {"image.tar": f"image of {key}"})
    plan = node(
        kind=None, programs={}, network=None,
        preload=(ArchivedImage("host.example/a/two:v1", "two-1.0"),),
    )  # fmt: skip
    node_image.assemble(place, plan, "sops-lab/node:1", {})
    assert (given / "images.tar").read_text() == "image of two-1.0"
    told = [call.removeprefix("docker ") for call in calls()]
    in_node = [call.partition("--namespace k8s.io ")[2] for call in told if " k8s.io " in call]
    assert in_node == [
        "images import --label=io.cri-containerd.pinned=pinned --no-unpack -",
        "images tag --force docker.io/sops-lab/preload/two:v1 host.example/a/two:v1",
        "images rm docker.io/sops-lab/preload/two:v1",
        "images label host.example/a/two:v1 io.cri-containerd.pinned=pinned",
    ]
    assert "exec --detach c0ffee containerd --root /var/lib/containerd" in told
    (created,) = [call for call in told if call.startswith("create ")]
    assert created.endswith("kept/node:v1 infinity") and "--privileged" not in created
    assert "rmi --no-prune kept/node:v1" in told


def test_the_git_servers_image_has_its_programs(place: Lab, given: Path) -> None:
    rootfs(place, "base-1.0", {"etc/a": "a"})
    stored(place, "one-1.0", {"bin/one": "program"})
    plan = GitImagePlan("base-1.0", {"usr/local/bin/uno": "one-1.0/bin/one"})
    git_image.assemble(place, plan, "sops-lab/git:1", {})
    assert content((given / "0.tar").read_bytes())["usr/local/bin/uno"] == "755 program"


def test_packages_are_added_to_an_image_by_its_own_apt(
    place: Lab, given: Path, calls: Callable[[], list[str]]
) -> None:
    plan, wanted = DerivedPlan("host.example/a", "sha256:0", ("git", "jq")), entry("a")
    derived.make(place, plan, wanted, "host.example/a@sha256:0")
    assert Path(place.store, "a-1.0", "rootfs.tar").read_text() == "files\n"
    told = [call.removeprefix("docker ") for call in calls()]
    (created,) = [call for call in told if call.startswith("create ")]
    assert "--network" not in created
    assert [call for call in told if call.endswith("--no-install-recommends git jq")]
    # The image was not there before, so it is removed again.
    assert "rmi host.example/a@sha256:0" in told


@pytest.mark.parametrize("fails", ["info", "exec"])
def test_what_a_recipe_was_at_work_on_is_gone_when_it_fails(
    fails: str, place: Lab, given: Path, stand_in: StandIn, calls: Callable[[], list[str]]
) -> None:
    rootfs(place, "base-1.0", {CERTIFICATES: "trusted"})
    failing = f"case $1 in {fails}) echo broken >&2; exit 1 ;; ps) echo c0ffee ;; esac"
    stand_in("docker", f"{failing}\n{DOCKER}")
    stored(place, "kind-files-1.0", {"files/etc/a.conf": "a"})
    with pytest.raises(LabError) as failed:
        node_image.assemble(place, node(programs={}), "sops-lab/node:1", {})
    if fails == "info":
        assert str(failed.value) == "Docker does not answer: start it, then run again"
    else:
        assert str(failed.value).startswith("the node's root file system could not be set up")
        # One container was left by a killed run, the other one is of this run.
        assert calls().count("docker rm --force --volumes c0ffee") == 2
    assert not [call for call in calls() if call.startswith("docker commit")]
