"""A learner who pushes while the lab changes main loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Settings
from sopslab.provision.operations import faults
from tests.fake import Applied
from tests.repositories import git, learner, overtake, was_overtaken
from tests.texts import write_program
from tests.unit.test_reset import SAVED, Class

TRANSACTION, UPDATE, PUSH = "update-ref --stdin", "update-ref refs/heads/main", ":refs/heads/main"


@pytest.fixture
def classroom(lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path) -> Class:
    """A class of one learner, whose repository has its first commit."""
    folder = tools("sops", "age", "age-keygen")
    write_program(folder / "kubectl", "#!/bin/sh\n")
    made = Class(lab(), tmp_path / "learners", {})
    made.folder.mkdir()
    made.add(at_seat(learner("ada")))
    return made


def tools_of(classroom: Class) -> Path:
    return Path(classroom.settings.bin_dir)


def reset_meanwhile(classroom: Class, learner: str, moment: str) -> str:
    """Reset a repository to which a commit comes at that moment; check that the commit stays, and
    return it."""
    classroom.commit(learner, "one")
    late = classroom.commit(learner, "two", push=False)
    overtake(tools_of(classroom), moment, classroom.bare(learner), classroom.clone(learner))
    classroom.reset(learner)
    assert was_overtaken(tools_of(classroom))
    assert set(classroom.failures()) == {learner}
    assert classroom.refs(learner)["heads/main"] == late
    return late


def test_a_reset_does_not_pass_over_a_commit_that_came_meanwhile(classroom: Class) -> None:
    late = reset_meanwhile(classroom, "ada", TRANSACTION)

    # The next reset keeps the commit.
    (Path(classroom.settings.class_dir) / "failed" / "ada").unlink()
    assert classroom.reset("ada", saved=f"{SAVED}-2").changed
    refs = classroom.refs("ada")
    assert refs["heads/main"] == refs["lab/start"]
    assert late in refs.values()


@pytest.fixture
def elsewhere(lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path) -> Class:
    """A lab's one learner, with a repository on another Git server."""
    folder = tools("sops", "age", "age-keygen")
    write_program(folder / "kubectl", "#!/bin/sh\n")
    settings = lab(
        git_url="http://git.example/course", git_username="ada", git_password="not-a-secret"
    )
    made = Class(settings, tmp_path / "learners", {})
    made.folder.mkdir()
    made.add(solo(settings))
    observed = Path(settings.lab_dir) / "observed.git"
    git(tmp_path, "init", "--quiet", "--bare", str(observed))
    here = f"file://{Path(settings.git_dir) / 'repositories'}/"
    git(observed, "config", f"url.{here}.insteadOf", "http://git.example/course/")
    return made


def test_nor_does_it_on_another_git_server(elsewhere: Class) -> None:
    reset_meanwhile(elsewhere, "learner", PUSH)


@pytest.mark.parametrize(
    ("place", "learner", "moment"), [("classroom", "ada", UPDATE), ("elsewhere", "learner", PUSH)]
)
@pytest.mark.parametrize("operation", ["inject", "undo"])
def test_a_fault_does_not_pass_over_a_commit_that_came_meanwhile(
    request: pytest.FixtureRequest, place: str, learner: str, moment: str, operation: str
) -> None:
    made: Class = request.getfixturevalue(place)
    ada = made.seats[learner]
    assert made.reset(learner, to="done").changed

    def inject() -> Applied:
        return Applied(
            faults.injection, settings=made.settings, environment=ada, faults=["not-wired"]
        )

    def undo() -> Applied:
        return Applied(faults.removal, settings=made.settings, environments=[ada])

    if operation == "undo":
        assert inject().changed
    git(made.clone(learner), "fetch", "--quiet")
    git(made.clone(learner), "reset", "--quiet", "--hard", "origin/main")
    late = made.commit(learner, "mine", push=False)
    overtake(tools_of(made), moment, made.bare(learner), made.clone(learner))
    {"inject": inject, "undo": undo}[operation]()
    assert was_overtaken(tools_of(made))
    assert made.refs(learner)["heads/main"] == late
