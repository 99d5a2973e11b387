"""`sopslab validate` as the hook runs it: its exit codes, what it asks Git, and what it shows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.verbs.validate import validate
from sopslab.errors import LabError
from sopslab.validation import schema_store
from sopslab.validation.tree import read_tree
from tests.unit.validation.validation_material import encrypted, listing

Write = Callable[[Mapping[str, str]], Path]
Run = Callable[..., Result]

ENV = "flux/secrets/develop"
GOOD = {
    f"{ENV}/kustomization.yaml": listing("backend-secrets.yaml"),
    f"{ENV}/backend-secrets.yaml": encrypted(),
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, schema_dir: Path) -> Run:
    monkeypatch.setattr(schema_store, "schema_dir", lambda _: schema_dir)
    monkeypatch.delenv("PRE_COMMIT", raising=False)
    return lambda *arguments: CliRunner().invoke(validate, [*map(str, arguments)])


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_clean_tree(run: Run, write: Write) -> None:
    result = run(write(GOOD))
    assert result.exit_code == 0
    assert result.output == "flux-kustomize-validate: 1 object built and checked, all well\n"


def test_nothing_to_build(run: Run, write: Write) -> None:
    result = run(write({"README.md": "#\n"}))
    assert result.exit_code == 0
    assert "nothing here that Flux would build" in result.output


def test_finding_says_place_and_change(run: Run, write: Write) -> None:
    result = run(write({**GOOD, f"{ENV}/kustomization.yaml": listing("backend.yaml")}))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f"{ENV}/kustomization.yaml:3: backend-secrets.yaml is not listed, so it is not applied "
        "[not-listed]",
        "    fix: add `- backend-secrets.yaml` under resources",
        f"{ENV}/kustomization.yaml:4: backend.yaml does not exist [listed-missing]",
        "    fix: create the file, or take it out of the list",
        "flux-kustomize-validate: 2 findings",
    ]


def test_json(run: Run, write: Write) -> None:
    result = run(write({**GOOD, f"{ENV}/kustomization.yaml": listing()}), "--json")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["undecided"] == []
    (found,) = answer["findings"]
    assert found.keys() == {"path", "line", "rule", "message", "fix"}
    assert (found["path"], found["line"], found["rule"]) == (
        f"{ENV}/kustomization.yaml", 3, "not-listed",
    )  # fmt: skip


def test_repository_around_the_current_folder(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({**GOOD, f"{ENV}/other.yaml": encrypted("other")})
    git(root, "init", "--quiet")
    monkeypatch.chdir(root / ENV)
    result = run()
    assert result.exit_code == 1
    assert result.output.startswith(f"{ENV}/kustomization.yaml:3: other.yaml is not listed")


def test_no_repository(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    result = run()
    assert result.exit_code == 2
    assert "is not in a Git repository: go to one, or name the folder to check" in result.output


def test_folder_that_is_none(run: Run, tmp_path: Path) -> None:
    result = run(tmp_path / "none")
    assert result.exit_code == 2
    assert "is not a folder" in result.output


def test_what_git_ignores_is_not_there(run: Run, write: Write) -> None:
    root = write({**GOOD, ".gitignore": "*.dec.yaml\n", f"{ENV}/a.dec.yaml": encrypted("a")})
    git(root, "init", "--quiet")
    assert run(root).exit_code == 0


def test_listed_file_has_to_be_part_of_the_commit(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(GOOD)
    git(root, "init", "--quiet")
    git(root, "add", f"{ENV}/kustomization.yaml")
    assert run(root).exit_code == 0
    monkeypatch.setenv("PRE_COMMIT", "1")
    result = run(root)
    assert result.exit_code == 1
    assert "[not-added]" in result.output
    assert f"fix: git add {ENV}/backend-secrets.yaml" in result.output
    git(root, "add", "--all")
    assert run(root).exit_code == 0


def test_file_beside_the_commit_does_not_matter(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(GOOD)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    write({f"{ENV}/draft.yaml": encrypted("draft")})
    assert run(root).exit_code == 1
    monkeypatch.setenv("PRE_COMMIT", "1")
    assert run(root).exit_code == 0


def test_deleted_file_is_missing(write: Write) -> None:
    root = write(GOOD)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    (root / ENV / "backend-secrets.yaml").unlink()
    assert read_tree(root).files == {f"{ENV}/kustomization.yaml"}


@pytest.mark.parametrize("tool", ["flux", "kubeconform"])
def test_missing_tool_is_not_decided(
    tool: str, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = shutil.which
    monkeypatch.setattr(
        "sopslab.validation.engine.shutil.which", lambda name: None if name == tool else look(name)
    )
    result = run(write(GOOD))
    assert result.exit_code == 2
    assert f"could not decide: {tool} is not on the PATH" in result.output
    assert 'eval "$(sopslab env)"' in result.output


def test_missing_schemas_are_not_decided(
    run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: object) -> Path:
        raise LabError("the schemas cannot be made")

    monkeypatch.setattr(schema_store, "schema_dir", missing)
    result = run(write({**GOOD, f"{ENV}/other.yaml": encrypted("other")}))
    assert result.exit_code == 2
    # Whatever can be judged without the schemas is reported.
    assert "[not-listed]" in result.output
    assert "could not decide: the schemas cannot be made" in result.output


def test_values_are_never_shown(run: Run, write: Write) -> None:
    plain = encrypted().split("stringData")[0] + "stringData:\n  PASSWORD: hunter2\n  PIN: 4711\n"
    for options in ((), ("--json",)):
        result = run(write({**GOOD, f"{ENV}/backend-secrets.yaml": plain}), *options)
        assert result.exit_code == 1
        assert "secret-plaintext" in result.output
        assert "hunter2" not in result.output
        assert "4711" not in result.output
