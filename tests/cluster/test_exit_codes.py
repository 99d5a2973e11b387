"""A run that fails for real ends with the exit code of the step in which it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopslab.errors import Exit
from tests.cluster.lab import Lab, run

pytestmark = pytest.mark.soak


@contextmanager
def obstructed(path: Path) -> Iterator[None]:
    """Put a file where a folder belongs, for as long as the block runs."""
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    path.write_text("no folder\n")
    try:
        yield
    finally:
        path.unlink()
        aside.rename(path)


def code_of(lab: Lab, **more: str) -> Exit:
    """Return the exit code of an `up` that fails, and says why."""
    answer = lab.up(check=False, **more)
    assert answer["problems"]
    assert len(answer["problems"]) == len(set(answer["problems"]))
    return Exit(answer["code"])


def test_the_git_server_has_no_place_for_the_repositories(lab: Lab) -> None:
    with obstructed(lab.bare.parent):
        assert code_of(lab) is Exit.GIT


def test_the_learners_clone_has_no_place(lab: Lab) -> None:
    with obstructed(Path(lab.settings.work_dir)):
        assert code_of(lab) is Exit.LEARNERS


def test_the_canary_does_not_arrive(lab: Lab, tmp_path: Path) -> None:
    clone = lab.learner(tmp_path)
    (clone / "flux/secrets/develop/kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    run(["git", "commit", "--quiet", "--all", "--no-verify", "--message", "Break it"], cwd=clone)
    run(["git", "push", "--quiet", "--force", str(lab.bare), "HEAD:main"], cwd=clone)
    assert code_of(lab) is Exit.CANARY


def test_a_tool_cannot_be_had(tmp_path: Path) -> None:
    # A root with nothing in it yet, and nobody who has a module.
    lab = Lab("exit-codes", tmp_path, {}, root=str(tmp_path / "root"))
    done = lab.sopslab("fill", check=False, GOPROXY="off", GOFLAGS="-mod=mod")
    assert done.returncode == Exit.ARTIFACTS, done.stdout + done.stderr
