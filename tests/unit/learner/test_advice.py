"""Commands that learners are told, run by a shell in a clone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sopslab.checks.rules.content import examine_list
from sopslab.course.chapter import Chapter
from sopslab.lab.tools.git import SOPS_LAB
from sopslab.policy.recipients import CONFIG
from tests.repositories import begin_repository, commit, git
from tests.unit.doctor.doctor_material import healthy, main

CHAPTER = Chapter("backend-secrets", "lab")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose first commit has a rule for one key."""
    begin_repository(tmp_path / "lab.git", tmp_path / "clone")
    (tmp_path / "clone" / CONFIG).write_text("old\n")
    commit(tmp_path / "clone", "Begin")
    return tmp_path / "clone"


def run(command: str, clone: Path, **environment: str) -> None:
    who = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
    who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
    subprocess.run(
        ["sh", "-c", command], cwd=clone, check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(clone), **who, **environment},
    )  # fmt: skip


def test_a_file_is_restored_as_the_lab_began_it(clone: Path) -> None:
    (clone / CONFIG).unlink()
    commit(clone, "Tidy up")
    run(CHAPTER.restore(CONFIG), clone)
    assert (clone / CONFIG).read_text() == "old\n"


def test_after_a_rotation_the_key_that_leaked_is_not_restored(clone: Path) -> None:
    (clone / CONFIG).write_text("new\n")
    git(clone, "commit", "--all", "-qm", "Rotate", f"--author={SOPS_LAB.name} <{SOPS_LAB.email}>")
    (clone / CONFIG).write_text("mine\n")
    commit(clone, "Break it")
    (clone / "README.md").write_text("of the lab\n")
    git(clone, "add", "README.md")
    git(clone, "commit", "-qm", "Another", f"--author={SOPS_LAB.name} <{SOPS_LAB.email}>")
    run(CHAPTER.restore(CONFIG), clone)
    assert (clone / CONFIG).read_text() == "new\n"


def test_a_name_in_the_list_that_no_file_has_is_corrected_in_an_editor(clone: Path) -> None:
    listing = clone / CHAPTER.kustomization
    listing.parent.mkdir(parents=True)
    listing.write_text("resources:\n- nowhere.yaml\n")
    commit(clone, "List it")
    (found,) = examine_list(main(kustomization=listing.read_text())(healthy()))
    run(found.next_step, clone, EDITOR="sed -i /nowhere/d", GIT_EDITOR="echo Mend >")
    assert git(clone, "show", f"origin/main:{CHAPTER.kustomization}") == "resources:"
