"""What is in the place of a repository of the lab's own Git server, and is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import repositories
from sopslab.lab.observe.repositories import those_there
from tests.repositories import commit, git


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    """A Git server with one repository, and a place for another."""
    made = lab()
    Path(made.git_dir).mkdir(parents=True)
    repositories.make(made.for_machine, ["ada/lab"])
    return made


def place(settings: Settings, repository: str) -> Path:
    return Path(settings.git_dir, "repositories", f"{repository}.git")


def pushed(settings: Settings, clone: Path) -> str:
    """Return a commit that a learner has pushed."""
    git(clone.parent, "clone", "--quiet", str(place(settings, "ada/lab")), str(clone))
    return commit(clone, "Mine")


def lose_head(repository: Path) -> None:
    (repository / "HEAD").unlink()


def empty_head(repository: Path) -> None:
    (repository / "HEAD").write_bytes(b"")


def lose_refs(repository: Path) -> None:
    (repository / "refs").rename(repository.with_name("refs"))


@pytest.mark.parametrize("lose", [lose_head, empty_head, lose_refs])
@pytest.mark.parametrize("packed", [False, True])
def test_what_a_learner_has_pushed_is_not_removed(
    settings: Settings, tmp_path: Path, *, lose: Callable[[Path], None], packed: bool
) -> None:
    main = pushed(settings, tmp_path / "clone")
    lost = place(settings, "ada/lab")
    if packed:
        git(lost, "repack", "-a", "-d", "--quiet")
    lose(lost)
    with pytest.raises(LabError, match=f"{lost} has commits in it"):
        repositories.make(settings.for_machine, ["ada/lab", "bob/lab"])
    # The sentence says what makes it a repository again.
    (lost / "HEAD").write_text("ref: refs/heads/main\n")
    (lost / "refs").mkdir(exist_ok=True)
    assert git(lost, "cat-file", "-t", main) == "commit"


def test_what_a_killed_run_has_begun_is_made_anew(settings: Settings) -> None:
    half = place(settings, "ada/lab")
    (half / "HEAD").unlink()
    # A killed push leaves no object in its place.
    for name in ("objects/tmp_objdir-incoming-1/12/34", "objects/12/tmp_obj_1", "junk"):
        (half / name).parent.mkdir(parents=True, exist_ok=True)
        (half / name).touch()
    repositories.make(settings.for_machine, ["ada/lab", "bob/lab"])
    there = ["ada/lab", "bob/lab"]
    assert those_there(settings.for_machine, there) == there
    assert not (half / "junk").exists()


def test_another_is_made_once_the_lost_one_is_elsewhere(settings: Settings, tmp_path: Path) -> None:
    pushed(settings, tmp_path / "clone")
    lost = place(settings, "ada/lab")
    lose_head(lost)
    shutil.move(lost, tmp_path / "lost.git")
    repositories.make(settings.for_machine, ["ada/lab"])
    assert git(lost, "for-each-ref") == ""
