"""The mark of a repository's references: it differs after every way in which Git changes them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.lab.observe import refs
from sopslab.lab.observe.refs import mark_of

TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
TIME = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
WHO = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@lab",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@lab",
}  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository that was last changed an hour ago."""
    folder = tmp_path / "lab.git"
    _git(None, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(folder))
    _git(folder, "update-ref", "refs/heads/main", _commit(folder, "one"))
    _git(folder, "update-ref", "refs/heads/saved/1", _commit(folder, "one"))
    _age(folder)
    return folder


def _git(bare: Path | None, *arguments: str) -> str:
    where = [] if bare is None else ["--git-dir", str(bare)]
    environment = {"PATH": os.environ["PATH"], **TIME, **WHO}
    done = subprocess.run(
        ["git", *where, *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _commit(bare: Path, message: str) -> str:
    _git(bare, "hash-object", "-t", "tree", "-w", "/dev/null")
    return _git(bare, "commit-tree", TREE, "-m", message)


def _age(bare: Path) -> None:
    """Make everything look as if it was last changed an hour ago."""
    for path in (bare, *bare.rglob("*")):
        os.utime(path, (1, path.stat().st_mtime - 3600))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a push": lambda bare: _git(bare, "update-ref", "refs/heads/main", _commit(bare, "two")),
    "another branch": lambda bare: _git(
        bare, "update-ref", "refs/heads/saved/2", _commit(bare, "one")
    ),
    "a branch in a folder that is new": lambda bare: _git(
        bare, "update-ref", "refs/heads/a/b/c", _commit(bare, "one")
    ),
    "a branch that is deleted": lambda bare: _git(bare, "update-ref", "-d", "refs/heads/saved/1"),
    "a tag": lambda bare: _git(bare, "update-ref", "refs/tags/t", _commit(bare, "one")),
    "packed references": lambda bare: _git(bare, "pack-refs", "--all"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_has_another_mark(bare: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs, "_SETTLING_NS", 0)
    before = mark_of(str(bare))
    CHANGES[name](bare)

    assert before is not None
    assert mark_of(str(bare)) != before


def test_a_change_of_a_packed_reference_has_another_mark(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refs, "_SETTLING_NS", 0)
    _git(bare, "pack-refs", "--all")
    _age(bare)
    before = mark_of(str(bare))
    packed = bare / "packed-refs"
    packed.with_suffix(".new").write_text(packed.read_text().replace("saved/1", "saved/2"))
    packed.with_suffix(".new").replace(packed)

    assert mark_of(str(bare)) != before


def test_what_does_not_change_has_the_same_mark(bare: Path) -> None:
    before = mark_of(str(bare))
    _commit(bare, "of no branch")

    assert before is not None
    assert mark_of(str(bare)) == before


def test_what_has_just_changed_has_none(bare: Path) -> None:
    _git(bare, "update-ref", "refs/heads/main", _commit(bare, "two"))

    assert mark_of(str(bare)) is None


def test_what_keeps_its_references_elsewhere_has_none(bare: Path) -> None:
    (bare / "reftable").mkdir()
    assert mark_of(str(bare)) is None


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    assert mark_of(str(tmp_path / "nothing.git")) is None
