"""What becomes of a pushed tree when it is built, by the real flux."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sopslab.policy import building, kustomizations, sandbox
from sopslab.policy.building import Broken, Built, Refused, build
from sopslab.policy.sources import Repository, SourceError
from tests.conftest import find_tool
from tests.repositories import git
from tests.texts import write_files

ROOT = "flux/secrets/develop"
FILE = f"{ROOT}/kustomization.yaml"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: c}\n"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOPSLAB_FLUX", find_tool("flux"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    git(tmp_path, "init", "--quiet", str(folder))
    return folder


def built(folder: Path, tree: dict[str, str]) -> building.Result:
    """Commit a tree and build it; check that the build leaves nothing behind."""
    write_files(folder, tree)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "a")
    result = build(Repository(str(folder)), git(folder, "rev-parse", "HEAD"))
    left = [path.name for path in Path(tempfile.gettempdir()).glob("sopslab*")]
    assert left == []
    return result


def refusal(result: building.Result) -> tuple[str, str]:
    assert isinstance(result, Refused)
    (found,) = result.findings
    return found.path, found.rule


def test_what_flux_would_apply_is_returned(repository: Path) -> None:
    tree = {
        FILE: "resources: [../../apps]\nsecretGenerator: [{name: g, files: [plain]}]\n",
        "flux/apps/kustomization.yaml": "resources: [a.yaml]\n",
        "flux/apps/a.yaml": OBJECT,
        f"{ROOT}/plain": "hunter2",
        "README.md": "not below flux",
    }
    result = built(repository, tree)
    assert isinstance(result, Built)
    assert "kind: ConfigMap" in result.text and "plain: aHVudGVyMg==" in result.text


def test_without_a_kustomization_flux_makes_one(repository: Path) -> None:
    result = built(repository, {f"{ROOT}/a.yaml": OBJECT})
    assert isinstance(result, Built) and "kind: ConfigMap" in result.text


@pytest.mark.parametrize(
    "tree",
    [
        {FILE: "resources: [nowhere.yaml]\n"},
        {FILE: "resources: [../../../..]\n"},
        {FILE: "resources: [a.yaml]\npatches: [{path: no.yaml}]\n", f"{ROOT}/a.yaml": OBJECT},
        {"flux/secrets/develop.yaml": OBJECT},
    ],
    ids=["no-file", "above", "no-patch", "no-folder"],
)
def test_a_mistake_that_flux_names_at_once_is_the_learners(
    tree: dict[str, str], repository: Path
) -> None:
    assert isinstance(built(repository, tree), Broken)


def test_a_build_that_could_be_another_one_with_the_key_is_no_mere_mistake(
    repository: Path,
) -> None:
    tree = {
        FILE: "resources: [a.yaml, no.yaml]\npatches: [{path: patch.yaml}]\n",
        f"{ROOT}/a.yaml": OBJECT,
        f"{ROOT}/patch.yaml": "a: ENC[AES256_GCM,data:AA==]\n",
    }
    assert refusal(built(repository, tree)) == (ROOT, "kustomize-build")
    tree[FILE] = "resources: [a.yaml, no.yaml, patch.yaml]\n"
    assert isinstance(built(repository, tree), Broken)


def test_what_asks_for_the_network_is_refused_also_by_the_builder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kustomizations, "check", lambda *_: [])
    result = built(repository, {FILE: "resources: ['http://127.0.0.1:9/a.yaml']\n"})
    # Our own builder opens no socket. The released one is killed when it tries.
    assert isinstance(result, Broken) or refusal(result) == (ROOT, "kustomize-build")


def test_what_takes_too_long_is_refused_also_by_the_builder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kustomizations, "check", lambda *_: [])
    monkeypatch.setattr(sandbox, "CPU_S", 1)
    tree = {FILE: "resources: [../../0a, ../../0b]\n"}
    for level in range(14):
        names = f"resources: [../{level + 1}a, ../{level + 1}b]\nnamePrefix: "
        tree |= {f"flux/{level}{side}/kustomization.yaml": f"{names}{side}\n" for side in "ab"}
    tree |= {f"flux/14{side}/kustomization.yaml": "resources: [a.yaml]\n" for side in "ab"}
    tree |= {f"flux/14{side}/a.yaml": OBJECT.replace("a}", f"{side}}}") for side in "ab"}
    assert refusal(built(repository, tree)) == (ROOT, "kustomize-build")


def test_a_link_is_not_followed(repository: Path, tmp_path: Path) -> None:
    (repository / ROOT).mkdir(parents=True)
    (repository / ROOT / "host").symlink_to("/etc")
    result = built(repository, {FILE: "resources: [host/hostname]\n"})
    assert refusal(result) == (f"{ROOT}/host", "not-a-regular-file")


def test_what_is_too_large_is_not_read(repository: Path) -> None:
    result = built(repository, {FILE: "", "flux/large": "#" * kustomizations.MAX_BYTES + "#"})
    assert refusal(result) == ("flux", "kustomize-too-much")


def test_without_flux_nothing_can_be_said(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOPSLAB_FLUX")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(SourceError, match="flux is not installed"):
        built(repository, {FILE: ""})


def test_folders_of_hooks_that_were_killed_are_removed(repository: Path) -> None:
    left = Path(tempfile.gettempdir()) / "sopslab-build-left"
    left.mkdir()
    os.utime(left, (1, 1))
    built(repository, {FILE: ""})
    assert not left.exists()
