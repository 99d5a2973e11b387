"""The platform repository as it is laid out, in a real repository and with tools that only
answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sopslab.config.settings import Settings
from sopslab.files.archive import Tree, pack
from sopslab.files.render import RenderedFile
from sopslab.lab.act import platform
from sopslab.lab.act.platform import lacking_images, split
from sopslab.lab.observe.records import content_mark
from sopslab.lab.tools import flux
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.clusters import ApiServers
from sopslab.provision.command import acting
from tasks.flux import platform_files
from tests.fake import run_command
from tests.repositories import git

FLUX = "flux/clusters/lab/flux-system"
LEARNERS = "flux/clusters/lab/learners"
COMPONENTS = "kind: Deployment\nspec:\n  image: ghcr.io/fluxcd/source-controller:v1\n"
OF_TOOLKIT = (
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux}\n"
)
TOOLS = {
    "flux": 'echo "components=$3"; echo "# $*" >>"$0.asked"',
    "kubectl": f'cat <<"END"\n{COMPONENTS}---\n{OF_TOOLKIT}END',
    "docker": 'cat "$0.images"',
}


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """A lab whose Git server is a folder, in which the platform repository has one record."""
    found = lab()
    folder = tools()
    for name, text in TOOLS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    served = Path(found.root, "served")
    here = f"url.{served.as_uri()}/.insteadOf={found.git_base_url}/"
    (folder / "git").write_text(f'#!/bin/sh\nexec {shutil.which("git")} -c "{here}" "$@"\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    bare = served / "platform.git"
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    first = Path(found.root, "first")
    (first / "docs").mkdir(parents=True)
    (first / "docs" / "record.md").write_text("what happened\n")
    (first / "old.yaml").write_text("of an older version\n")
    for words in (
        ("init", "--quiet", "--initial-branch=main"), ("add", "--all"),
        ("commit", "--quiet", "--message", "Begin"), ("push", "--quiet", str(bare), "main"),
    ):  # fmt: skip
        git(first, *words)
    Path(found.lab_dir).mkdir(parents=True)
    return found


def files() -> Tree:
    texts = {
        f"{FLUX}/kustomization.yaml": "resources: []\n",
        f"{LEARNERS}/ada.yaml": "kind: Namespace\n",
    }
    return {path: RenderedFile(text.encode(), executable=False) for path, text in texts.items()} | {
        "flux/run": RenderedFile(b"#!/bin/sh\n", executable=True)
    }


def lay_out(settings: Settings, *, node: str | None = None, tag: str | None = None) -> str:
    """Lay the repository out, and return the error output."""
    done = run_command(
        acting(
            settings, platform.lay_out,
            files=pack(files()), mark="a-mark", components=["a", "b"], node=node, tag=tag,
        )
    )  # fmt: skip
    assert (done.returncode == 0) == (not done.stderr), done.stderr
    return done.stderr


def bare(settings: Settings) -> Path:
    return Path(settings.root, "served", "platform.git")


def test_the_repository_and_the_manifests_are_made_of_one_commit(settings: Settings) -> None:
    Path(settings.platform_dir).mkdir()
    Path(settings.platform_dir, "left").write_text("by a run that was killed")
    assert lay_out(settings, tag="tenant-base-1") == ""
    listed = git(bare(settings), "ls-tree", "-r", "--format=%(objectmode) %(path)", "main")
    assert set(listed.splitlines()) == {
        "100644 docs/record.md", "100755 flux/run", f"100644 {FLUX}/gotk-components.yaml",
        f"100644 {FLUX}/kustomization.yaml", f"100644 {LEARNERS}/ada.yaml",
    }  # fmt: skip
    shown = git(bare(settings), "show", f"main:{FLUX}/gotk-components.yaml")
    assert shown == "components=--components=a,b"
    assert git(bare(settings), "rev-parse", "tenant-base-1", "main").split()[0] == git(
        Path(settings.platform_dir), "rev-parse", "origin/main"
    )
    assert content_mark(settings.for_machine) == "a-mark"
    assert not Path(settings.platform_dir, "left").exists()
    manifests = Path(settings.manifests_dir)
    assert (manifests / "components.yaml").read_text() == f"---\n{COMPONENTS}"
    assert (manifests / "sync.yaml").read_text() == f"---\n{OF_TOOLKIT}---\nkind: Namespace\n"
    assert not list(Path(settings.lab_dir).glob(".new.*"))


def test_a_tag_that_is_there_stays_where_it_is(settings: Settings) -> None:
    git(bare(settings), "tag", "tenant-base-1", "main")
    before = git(bare(settings), "rev-parse", "tenant-base-1")
    assert lay_out(settings, tag="tenant-base-1") == ""
    assert git(bare(settings), "rev-parse", "tenant-base-1") == before


def test_a_node_without_the_images_is_left_as_it_is(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
    held = Path(settings.bin_dir, "docker.images")
    held.write_text("ghcr.io/fluxcd/source-controller:v0\n")
    before = git(bare(settings), "rev-parse", "main")
    said = lay_out(settings, node="lab-control-plane", tag="tenant-base-1")
    assert "lab-control-plane was made without the images" in said
    assert "(ghcr.io/fluxcd/source-controller:v1)" in said
    assert git(bare(settings), "rev-parse", "main") == before
    assert not Path(settings.platform_dir).exists()
    held.write_text("ghcr.io/fluxcd/source-controller:v1\n")
    assert lay_out(settings, node="lab-control-plane") == ""


def test_a_node_that_does_not_answer_is_not_asked_twice(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
    assert lay_out(settings, node="lab-control-plane") == ""


def test_a_git_server_that_is_not_there_is_named(settings: Settings) -> None:
    bare(settings).rename(f"{bare(settings)}.away")
    said = lay_out(settings)
    assert "the platform repository could not be cloned from http://127.0.0.1:8418/" in said
    assert "the repository is not there" in said


def test_what_is_made_of_the_toolkits_kinds_is_applied_second() -> None:
    built = f"{OF_TOOLKIT}---\n{COMPONENTS}---\n\n".encode()
    assert split(built) == ([OF_TOOLKIT.encode()], [COMPONENTS.encode()])


def test_images_are_compared_by_their_whole_name() -> None:
    built = b"  image: a/b:1\n    image: c:2\n- image: d\nimage: e\n"
    assert lacking_images(built, frozenset({"a/b:1", "c"})) == ["c:2", "e"]


def test_what_flux_has_outside_namespaces_carries_the_labs_labels_in_a_cluster_of_others(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path
) -> None:
    tools("flux", "kubectl")
    settings = lab(cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="prod")
    machine, identity = settings.for_machine, "0123456789abcdef"
    laid_out = platform_files(settings, (), ApiServers(ports=(443,)), identity)
    for path in (path for path in laid_out if path.startswith(f"{FLUX}/")):
        (tmp_path / Path(path).name).write_bytes(laid_out[path].content)
    components = flux.manifests(machine, flux.CONTROLLERS)
    (tmp_path / "gotk-components.yaml").write_bytes(components)
    built = list(yaml.safe_load_all(Kubectl(machine).run("kustomize", str(tmp_path))))
    outside = [one for one in built if "namespace" not in one["metadata"]]
    assert {one["kind"] for one in outside} == {
        "Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding",
    }  # fmt: skip
    marks = {"sops-lab": settings.lab, "sops-lab/id": identity}.items()
    assert [one for one in outside if not marks <= one["metadata"]["labels"].items()] == []
