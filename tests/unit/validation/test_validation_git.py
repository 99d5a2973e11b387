"""What Git hands to Flux is not always what lies in the work tree."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.errors import LabError
from sopslab.policy.findings import Report
from sopslab.validation.engine import validate
from sopslab.validation.tree import read_tree
from tests.unit.validation.validation_material import config, flux, listing, shown

Write = Callable[[Mapping[str, str]], Path]
Check = Callable[..., Report]

APP = "apps/kustomization.yaml"
FILES = {APP: listing("a.yaml"), "apps/a.yaml": config()}


def git(root: Path, *arguments: str, stdin: str = "") -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments],
        input=stdin, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


@pytest.fixture
def repository(write: Write) -> Callable[[Mapping[str, str]], Path]:
    """Return a function that writes files and commits them."""

    def make(files: Mapping[str, str]) -> Path:
        root = write(files)
        git(root, "init", "--quiet", "--initial-branch=main")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message=a")
        return root

    return make


@pytest.fixture
def check(schema_dir: Path) -> Check:
    return lambda root, **options: validate(read_tree(root, **options), lambda: schema_dir)


@pytest.mark.parametrize("attribute", ["filter=lfs", "filter=git-crypt diff=git-crypt", "ident"])
def test_file_that_git_keeps_in_another_form(
    attribute: str, repository: Callable[..., Path], check: Check
) -> None:
    root = repository({**FILES, ".gitattributes": ""})
    (root / ".gitattributes").write_text(f"apps/a.yaml {attribute}\n")
    (root / "apps/a.yaml").write_text(config(more="  b: c\n"))
    assert shown(check(root).findings) == [(APP, 4, "git-filtered")]


def test_file_whose_filter_changes_nothing(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, ".gitattributes": "apps/a.yaml filter=none\n"})
    assert check(root).findings == []


def test_pointer_to_a_large_file(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, ".gitattributes": "apps/a.yaml filter=lfs\n"})
    pointer = git(root, "hash-object", "-w", "--stdin", stdin="version https://example.org\n")
    entry = f"100644,{pointer.strip()},apps/a.yaml"
    git(root, "update-index", "--cacheinfo", entry)
    git(root, "update-index", "--assume-unchanged", "apps/a.yaml")
    assert shown(check(root).findings) == [(APP, 4, "git-filtered")]


@pytest.mark.parametrize("option", ["--skip-worktree", "--assume-unchanged"])
def test_change_that_git_is_told_not_to_see(
    option: str, repository: Callable[..., Path], check: Check
) -> None:
    root = repository(FILES)
    git(root, "update-index", option, APP)
    (root / APP).write_text(listing("none.yaml"))
    assert check(root).findings == []


def test_sparse_checkout(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, "clusters/app.yaml": flux("apps")})
    git(root, "sparse-checkout", "set", "--no-cone", "/clusters/")
    assert not (root / "apps").exists()
    report = check(root)
    assert (report.findings, report.checked) == ([], 1)


def test_link_that_is_checked_out_as_a_file(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, "base/a.yaml": config()})
    (root / "apps/a.yaml").unlink()
    (root / "apps/a.yaml").symlink_to("../base/a.yaml")
    git(root, "add", "--all")
    (root / "apps/a.yaml").unlink()
    (root / "apps/a.yaml").write_text("../base/a.yaml")
    assert shown(check(root).findings) == [(APP, 4, "symlink")]


def test_file_in_a_submodule(repository: Callable[..., Path], check: Check, tmp_path: Path) -> None:
    root = repository({**FILES, APP: listing("a.yaml", "../sub/b.yaml")})
    commit = git(root, "rev-parse", "HEAD").strip()
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    (root / "sub").mkdir()
    (root / "sub/b.yaml").write_text(config("b"))
    assert shown(check(root).findings) == [(APP, 5, "submodule")]


def test_file_that_git_ignores(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, ".gitignore": "b.yaml\n", APP: listing("a.yaml", "b.yaml")})
    (root / "apps/b.yaml").write_text(config("b"))
    (found,) = check(root).findings
    assert (found.rule, found.line) == ("listed-missing", 5)
    assert found.message == "b.yaml is ignored by Git, so Flux never gets it"


def test_file_that_is_only_meant_to_be_added(repository: Callable[..., Path], check: Check) -> None:
    root = repository({**FILES, APP: listing("a.yaml", "b.yaml")})
    (root / "apps/b.yaml").write_text(config("b"))
    git(root, "add", "--intent-to-add", "apps/b.yaml")
    assert check(root).findings == []
    assert shown(check(root, committing=True).findings) == [(APP, 5, "not-added")]


@pytest.mark.parametrize(("branch", "count"), [("team", 0), ("main", 1)])
def test_path_on_another_branch(
    branch: str, count: int, repository: Callable[..., Path], check: Check
) -> None:
    source = f"""\
        apiVersion: source.toolkit.fluxcd.io/v1
        kind: GitRepository
        metadata: {{name: team, namespace: flux-system}}
        spec:
          interval: 1m
          url: https://example.org/a/b
          ref: {{branch: {branch}}}
        """
    where = flux("staging", source="team")
    root = repository({**FILES, "clusters/a.yaml": where, "clusters/s.yaml": source})
    git(root, "remote", "add", "origin", "https://example.org/a/b.git")
    assert len(check(root).findings) == count


def test_program_of_the_configuration_is_not_run(
    repository: Callable[..., Path], check: Check, tmp_path: Path
) -> None:
    root = repository({**FILES, ".gitattributes": "*.yaml filter=own\n"})
    for name in ("core.fsmonitor", "filter.own.clean", "filter.own.smudge", "diff.own.textconv"):
        git(root, "config", name, f"touch {tmp_path}/ran")
    (root / "apps/a.yaml").write_text(config(more="  b: c\n"))
    check(root)
    assert not (tmp_path / "ran").exists()


def test_filter_that_cannot_be_switched_off_is_not_run(
    repository: Callable[..., Path], check: Check, tmp_path: Path
) -> None:
    root = repository({**FILES, ".gitattributes": "*.yaml filter=own=x\n"})
    git(root, "config", "filter.own=x.clean", f"touch {tmp_path}/ran")
    (root / "apps/a.yaml").write_text(config(more="  b: c\n"))
    with pytest.raises(LabError, match=r"filter 'own=x' of \.gitattributes cannot be"):
        check(root)
    assert not (tmp_path / "ran").exists()
