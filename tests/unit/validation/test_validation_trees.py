"""The repositories that the lab itself lays out have no findings, with real sops and real Flux."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.checks.causes import for_shell
from sopslab.config.environment import solo
from sopslab.config.inputs import local_settings
from sopslab.config.settings import Settings
from sopslab.files.render import RenderedFile, render_tree
from sopslab.lab.tools.flux import CONTROLLERS
from sopslab.layout import (
    API_PORT,
    ENVIRONMENT,
    TEMPLATES,
)
from sopslab.model.clusters import ApiServers
from sopslab.validation.engine import validate
from sopslab.validation.tree import read_tree
from tasks.flux import platform_files
from tasks.learners import learner_variables
from tests.conftest import find_tool
from tests.marks import soak
from tests.texts import replaced
from tests.unit.validation.validation_material import shown


def run(*command: str, cwd: Path, stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def write(root: Path, files: Mapping[str, RenderedFile]) -> None:
    for name, file in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.executable else 0o644)


@pytest.fixture
def repository(
    tmp_path: Path, lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A learner's repository as the lab leaves it: rendered, with an encrypted canary."""
    key = tmp_path / "key"
    run("age-keygen", "-o", str(key), cwd=tmp_path)
    public = run("age-keygen", "-y", str(key), cwd=tmp_path).strip()
    settings = lab()
    variables = {
        **learner_variables(settings, solo(settings)),
        "recipients": {"learner": public, "instructor": public},
        "causes": for_shell(),
    }
    root = tmp_path / "work"
    write(root, render_tree(TEMPLATES / "learner", variables))
    run("git", "init", "--quiet", cwd=root)
    monkeypatch.setenv("SOPS_AGE_KEY_FILE", str(key))
    encrypt(root, "lab-canary")
    return root


def encrypt(root: Path, name: str) -> None:
    script = "scripts/sops-encrypt-secret.sh"
    run(f"./{script}", ENVIRONMENT, name, cwd=root, stdin="PASSWORD=hunter2\n")


def test_repository_of_the_learner_is_clean(repository: Path, schema_dir: Path) -> None:
    report = validate(read_tree(repository), lambda: schema_dir)
    assert (report.findings, report.undecided, report.checked) == ([], [], 1)


def test_flow_of_the_chapter(repository: Path, schema_dir: Path) -> None:
    """The learner writes the file first, and then the line that lists it."""
    lists = repository / "flux/secrets/develop/kustomization.yaml"
    encrypt(repository, "backend-secrets")
    (found,) = validate(read_tree(repository), lambda: schema_dir).findings
    assert (found.rule, found.fix) == ("not-listed", "uncomment `- backend-secrets.yaml`")
    lists.write_text(replaced(lists.read_text(), "# - backend", "- backend"))
    report = validate(read_tree(repository), lambda: schema_dir)
    assert (report.findings, report.undecided, report.checked) == ([], [], 2)


@pytest.fixture(scope="module")
def components(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The manifests of Flux itself."""
    folder = tmp_path_factory.mktemp("components")
    flux = find_tool("flux")
    return run(flux, "install", "--export", f"--components={','.join(CONTROLLERS)}", cwd=folder)


@pytest.fixture
def platform(tmp_path: Path, components: str) -> Path:
    """The platform repository as the lab lays it out."""
    root = tmp_path / "platform"
    write(root, platform_files(local_settings(), (), ApiServers(ports=(API_PORT,))))
    (root / "flux/clusters/lab/flux-system/gotk-components.yaml").write_text(components)
    return root


def test_platform_repository_is_clean(platform: Path, schema_dir: Path) -> None:
    report = validate(read_tree(platform), lambda: schema_dir)
    assert (report.findings, report.undecided) == ([], [])
    assert report.checked > 30


@pytest.mark.parametrize(
    ("written", "instead", "rule"),
    [
        ("    provider: sops\n", "    provider: none\n", "decryption-provider"),
        soak("      name: sops-age\n", "      name: age\n", "decryption-secret"),
        ("  prune: true\n", "", "schema"),
        soak("kind: ServiceAccount\nmetadata", "kind: ServiceAcount\nmetadata", "unknown-kind"),
    ],
)
def test_mistake_in_the_platform_is_found(
    platform: Path, schema_dir: Path, written: str, instead: str, rule: str
) -> None:
    path = platform / "flux/clusters/lab/learners/develop.yaml"
    text = path.read_text()
    assert written in text
    path.write_text(replaced(text, written, instead))
    report = validate(read_tree(platform), lambda: schema_dir)
    assert rule in {finding.rule for finding in report.findings}
    assert {name for name, _, _ in shown(report.findings)} == {
        str(path.relative_to(platform)).replace(os.sep, "/")
    }
