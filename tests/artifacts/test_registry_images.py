"""Images from a registry on loopback: by digest, kept in the store, refused when altered."""

from __future__ import annotations

import re
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.config.places import Lab as Places
from sopslab.lab.act.registry import push
from sopslab.lab.observe.registry import pushed_image
from sopslab.layout import git_pod_sources
from tests.artifacts.conftest import Lab, Registry, docker
from tests.cluster.debian import root_file_system

PROGRAM = "/srv/git/policy/sopslab/gitserver/__init__.py"


@pytest.fixture
def image() -> Iterator[str]:
    """A name that no other image of this machine has. What has it afterwards is removed."""
    name = f"tiny-{uuid.uuid4().hex[:12]}"
    yield name
    places = (name, f"*/{name}", f"*/*/{name}")
    filters = [word for place in places for word in ("--filter", f"reference={place}")]
    if left := docker("images", "--quiet", *filters).split():
        docker("rmi", "--force", *set(left))


def pull(lab: Lab, image: str, digest: str) -> None:
    lab.catalog = {
        "debian": "bookworm",
        "versions": {"tiny": "1.0"},
        "pulls": {"tiny": {"image": f"docker.io/lab/{image}:v{{tiny}}", "digest": digest}},
    }


def known(image: str) -> str:
    return docker("images", "--quiet", "--filter", f"reference=*/{image}", "--filter",
                  f"reference=*/*/{image}")  # fmt: skip


def test_an_image_is_pulled_by_digest_from_the_mirror_and_kept_in_the_store(
    lab: Lab, registry: Registry, image: str
) -> None:
    pull(lab, image, registry.push(f"lab/{image}:v1.0", {"hello": "world"}))
    lab.data["mirrors"]["images"] = registry.address
    result = lab.run()
    assert (result.code, result.changed) == (0, ["Pull the image of tiny 1.0"])
    assert known(image) == ""
    saved = lab.store / "tiny-1.0" / "image.tar"
    assert f"sops-lab/preload/{image}:v1.0" in docker("load", "--input", str(saved))
    docker("rmi", f"sops-lab/preload/{image}:v1.0")
    assert lab.run().changed == []


def test_an_image_that_somebody_had_is_not_removed(
    lab: Lab, registry: Registry, image: str
) -> None:
    digest = registry.push(f"lab/{image}:v1.0", {"hello": "world"})
    reference = f"{registry.address}/lab/{image}@{digest}"
    docker("pull", reference)
    pull(lab, image, digest)
    lab.data["mirrors"]["images"] = registry.address
    assert lab.run().code == 0
    assert known(image) != ""


def test_another_digest_is_refused(lab: Lab, registry: Registry, image: str) -> None:
    registry.push(f"lab/{image}:v1.0", {"hello": "world"})
    wrong = f"sha256:{'0' * 64}"
    pull(lab, image, wrong)
    lab.data["mirrors"]["images"] = registry.address
    result = lab.run()
    assert result.code == 1
    assert f"{registry.address}/lab/{image}@{wrong} could not be pulled" in result.said
    assert not (lab.store / "tiny-1.0").exists()


def test_an_image_that_was_altered_in_the_registry_is_refused(
    lab: Lab, registry: Registry, image: str
) -> None:
    digest = registry.push(f"lab/{image}:v1.0", {"hello": "world"})
    for blob in _blobs(registry.folder):
        if b'"schemaVersion"' in (text := blob.read_bytes()):
            blob.write_bytes(text.replace(b'"schemaVersion"', b' "schemaVersion"'))
    pull(lab, image, digest)
    lab.data["mirrors"]["images"] = registry.address
    result = lab.run()
    assert result.code == 1
    assert f"@{digest} could not be pulled" in result.said
    assert list(lab.store.iterdir()) == []


def test_a_registry_that_does_not_answer_is_named(lab: Lab, image: str) -> None:
    pull(lab, image, f"sha256:{'0' * 64}")
    lab.data["mirrors"]["images"] = "127.0.0.1:9"
    result = lab.run()
    assert result.code == 1
    assert f"127.0.0.1:9/lab/{image}@sha256:" in result.said


@pytest.mark.soak
def test_an_image_gets_packages_and_becomes_a_root_file_system(
    lab: Lab, registry: Registry, image: str
) -> None:
    reference = f"{registry.address}/lab/{image}:v1.0"
    docker("import", str(root_file_system("bookworm")), reference)
    digest = registry.push_known(reference)
    lab.catalog = {
        "debian": "bookworm",
        "versions": {"small": "1.0"},
        "derived": {
            "small": {
                "image": f"docker.io/lab/{image}:v{{small}}",
                "digest": digest,
                "packages": ["hello"],
            }
        },
    }
    lab.data["mirrors"]["images"] = registry.address
    result = lab.run()
    assert (result.code, result.changed) == (0, ["Make small from an image"]), result.said
    with tarfile.open(lab.store / "small-1.0" / "rootfs.tar") as packed:
        names = set(packed.getnames())
    assert {"usr/bin/hello", "usr/bin/dpkg"} <= names
    assert [name for name in names if name.startswith("var/lib/apt/lists/")] == []
    assert known(image) == ""
    assert lab.run().changed == []


@pytest.mark.soak
def test_the_git_servers_image_is_pushed_and_pulled_by_the_digest_on_record(
    lab: Lab, registry: Registry, image: str, tmp_path: Path
) -> None:
    base = f"{image}:base"
    docker("import", str(root_file_system("bookworm")), base)
    here = Places("lab", str(tmp_path / "root"), "kind", None, "127.0.0.1", 0, None, None, None,
                  None, "ada")  # fmt: skip
    where = f"{registry.address}/{image}"
    try:
        push(here, base, where, "1-tests")
        reference = pushed_image(here, where, "1-tests")
        assert reference is not None and re.fullmatch(rf"{where}/\S+@sha256:\S+", reference)
        # Docker keeps neither the name in the registry nor an image pulled by that name.
        assert known(image) == ""
        assert docker("run", "--rm", "--entrypoint", "cat", reference, PROGRAM) == (
            git_pod_sources()["sopslab/gitserver/__init__.py"].read_text().strip()
        )
        docker("rmi", reference)
        Path(here.pushed_images).unlink()
        push(here, base, where, "1-tests")
        assert pushed_image(here, where, "1-tests") == reference
        shutil.rmtree(registry.folder)
        assert pushed_image(here, where, "1-tests") is None
    finally:
        docker("rmi", "--force", base, "sops-lab/git-server:pushed")


def _blobs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("data") if "blobs" in path.parts]
