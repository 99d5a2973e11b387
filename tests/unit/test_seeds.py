"""The repositories of a class, filled with the real git, sops and age. Each has one commit by its
learner, and a canary that no other learner's key opens."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.enrolment import enrol
from sopslab.config.environment import at_seat
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.layout import CANARY_PATH, TEMPLATES
from sopslab.provision.operations import age, git, seats
from tasks.learners import learner_variables
from tests.beginnings import begin
from tests.fake import Applied
from tests.repositories import decrypt

SEATS = ("ada", "bob")


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], beginnings: Path
) -> Settings:
    """Two seats with keys and empty repositories."""
    people = [{"id": seat, "name": f"Dr. {seat}", "email": f"{seat}@example.org"} for seat in SEATS]
    settings = lab(seats=people)

    def make() -> None:
        tools("sops", "age-keygen")
        enrolment = enrol(settings.seats, (), prune=False)
        assert Applied(seats.roster, settings=settings, enrolment=enrolment).changed
        keys = {INSTRUCTOR: None} | {one.id: at_seat(one) for one in settings.seats}
        assert Applied(age.identities, settings=settings, keys=keys).changed
        Path(settings.git_dir).mkdir()
        repositories = tuple(f"{seat}/lab" for seat in SEATS)
        assert Applied(git.repositories, settings=settings, repositories=repositories).changed

    begin(Path(settings.root), beginnings / "classroom", make)
    return settings


def seed(settings: Settings) -> Applied:
    return Applied(
        git.seeds,
        settings=settings,
        environments=[at_seat(seat) for seat in settings.seats],
        template=str(TEMPLATES / "learner"),
        variables={seat.id: learner_variables(settings, at_seat(seat)) for seat in settings.seats},
    )


def ask(settings: Settings, seat: str, *arguments: str) -> str:
    folder = f"{settings.git_dir}/repositories/{seat}/lab.git"
    done = subprocess.run(
        ["git", "--git-dir", folder, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def opened(settings: Settings, seat: str, key: str) -> subprocess.CompletedProcess[str]:
    canary = ask(settings, seat, "show", f"main:{CANARY_PATH}")
    identity = Path(settings.keys_dir, f"{key}.agekey")
    return decrypt(canary, identity, '["stringData"]["value"]', check=False)


def test_each_begins_with_one_commit_of_its_own_learner(classroom: Settings) -> None:
    done = seed(classroom)
    assert done.changed and not done.failed
    for seat in SEATS:
        assert ask(classroom, seat, "log", "--format=%an <%ae> %s", "main") == (
            f"Dr. {seat} <{seat}@example.org> Begin the lab"
        )
        main = ask(classroom, seat, "rev-parse", "refs/heads/main")
        assert ask(classroom, seat, "rev-parse", "refs/lab/start") == main
        assert ask(classroom, seat, "ls-tree", "main", "scripts/sops-setup.sh").startswith("100755")


def test_a_canary_opens_with_its_own_key_and_is_known_by_its_hash(classroom: Settings) -> None:
    seed(classroom)
    for seat, other in (SEATS, SEATS[::-1]):
        canary = opened(classroom, seat, seat)
        digest = hashlib.sha256(canary.stdout.strip().encode()).hexdigest()
        assert canary.returncode == 0
        assert Path(classroom.seat_dir(seat), "canary").read_text() == f"{digest}\n"
        assert opened(classroom, seat, INSTRUCTOR).stdout == canary.stdout
        assert opened(classroom, seat, other).returncode != 0
        manifest = ask(classroom, seat, "show", f"main:{CANARY_PATH}")
        assert f"namespace: {seat}-develop" in manifest


def test_what_is_there_is_the_learners_and_stays(classroom: Settings) -> None:
    assert seed(classroom).changed
    before = [ask(classroom, seat, "for-each-ref") for seat in SEATS]
    again = seed(classroom)
    assert not again.changed
    assert [ask(classroom, seat, "for-each-ref") for seat in SEATS] == before


def test_one_that_cannot_be_filled_says_so_and_the_other_is_filled(classroom: Settings) -> None:
    Path(classroom.git_dir, "repositories", "bob", "lab.git", "HEAD").unlink()
    assert not seed(classroom).failed
    assert ask(classroom, "ada", "rev-parse", "refs/lab/start")
    failed = Path(classroom.class_dir, "failed")
    assert [file.name for file in failed.iterdir()] == ["bob"]
    assert (failed / "bob").read_text() == "its repository could not be filled\n"


def test_what_was_begun_and_not_finished_is_begun_anew(classroom: Settings) -> None:
    # The empty tree, which git knows without having it.
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    half = ask(
        classroom, "ada", "-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "", tree
    )
    ask(classroom, "ada", "update-ref", "refs/lab/new", half)
    assert not seed(classroom).failed
    assert ask(classroom, "ada", "rev-parse", "main") != half
    for seat in SEATS:
        refs = ask(classroom, seat, "for-each-ref", "--format=%(refname)").split()
        assert refs == ["refs/heads/main", "refs/lab/start"]


def test_nothing_is_left_of_what_was_written(classroom: Settings) -> None:
    assert seed(classroom).changed
    assert not list(Path(classroom.class_dir).glob(".new.*"))
