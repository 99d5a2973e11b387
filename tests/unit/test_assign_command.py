"""`sopslab assign`: a spare becomes somebody's seat, and nothing else of the class changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.enrolled import read_enrolled, record_of
from sopslab.config.enrolment import assign as assigned
from sopslab.config.enrolment import enrol
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.config.settings import Enrolled, Seat, Settings
from sopslab.lab.act import server
from sopslab.lab.act.enrolling import record
from sopslab.model.canaries import PROVEN, CanaryState, Progress
from tests.commands import say_format
from tests.texts import write_files

ADA = Seat(id="ada", name="Ada", email="ada@example.org")
ZOE = ("zoe", "--name", "Zo\u00eb <Z>")


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> dict[str, CanaryState]:
    """The states of the spares' canaries in the cluster: all are proven."""
    found = {f"spare-{number}": PROVEN for number in (1, 2)}

    def look(_lab: Lab, environments: list[Environment]) -> Mapping[str, CanaryState]:
        return {one.id: found[one.id] for one in environments if one.id in found}

    monkeypatch.setattr("sopslab.lab.observe.canaries.canary_states", look)
    return found


@pytest.fixture
def classroom(settings: Settings, states: dict[str, CanaryState]) -> Iterator[Settings]:
    """A class of Ada and two spares, as `up` makes it."""
    say_format(settings)
    Path(settings.git_dir).mkdir(parents=True)
    Path(settings.git_dir, "htpasswd").write_text("")
    seats = enrol([ADA], [], prune=False, spares=2).seats
    for seat in seats:
        files = {
            f"{settings.seat_dir(seat.id)}/kubeconfig": "kubeconfig",
            f"{settings.account_dir(seat.id)}/username": seat.id,
            f"{settings.account_dir(seat.id)}/password": "cdfh-jkmn-prtv-wxy3-479c",
            f"{settings.handout_dir(seat.id)}/kubeconfig": "kubeconfig",
            f"{settings.handout_dir(seat.id)}/page.html": f"page of {seat.name}",
        }
        write_files(Path("/"), files)
    server.prepare(settings.for_machine, os.getegid())
    record(settings.for_machine, record_of(seats))
    yield settings


def assign(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["assign", *arguments])


def page(settings: Settings, seat: str) -> str:
    return Path(settings.handout_dir(seat), "page.html").read_text()


def seat_of(settings: Settings, seat: str) -> Enrolled:
    (found,) = (one for one in read_enrolled(settings) if one.id == seat)
    return found


def test_a_spare_becomes_the_seat_of_who_came_late(classroom: Settings) -> None:
    before = read_enrolled(classroom)
    done = assign("spare-1", *ZOE, "--group", "Table 2")
    assert done.exit_code == 0, done.stderr
    assert "logs in as spare-1" in done.stdout
    assert "`sopslab cards spare-1`" in done.stdout
    seat = seat_of(classroom, "spare-1")
    assert (seat.learner, seat.name, seat.email, seat.group, seat.free) == (
        "zoe", "Zo\u00eb <Z>", "zoe@example.org", "Table 2", False,
    )  # fmt: skip
    assert "Zo\u00eb &lt;Z&gt;" in page(classroom, "spare-1")
    # No other seat changes, and no password.
    assert [one for one in read_enrolled(classroom) if one.id != "spare-1"] == [
        one for one in before if one.id != "spare-1"
    ]
    assert page(classroom, "spare-2") == "page of Spare 2"
    password = Path(classroom.account_dir("spare-1"), "password").read_text()
    assert password == "cdfh-jkmn-prtv-wxy3-479c"


def test_the_same_again_changes_nothing(classroom: Settings) -> None:
    assert json.loads(assign("spare-1", *ZOE, "--json").stdout)["changed"] == 1
    again = assign("spare-1", *ZOE, "--json")
    assert json.loads(again.stdout) == {
        "ok": True, "changed": 0, "seat": "spare-1", "learner": "zoe",
    }  # fmt: skip
    assert "already" in assign("spare-1", *ZOE).stdout


def test_what_a_run_that_was_killed_has_left_is_made_good(classroom: Settings) -> None:
    # The killed run has recorded who has the seat, but has not written the page yet.
    zoe = Seat(id="zoe", name="Zo\u00eb <Z>", email="zoe@example.org")
    recorded = assigned(read_enrolled(classroom), "spare-1", zoe)
    record(classroom.for_machine, record_of(recorded))
    assert assign("spare-1", *ZOE).exit_code == 0
    assert "Zo\u00eb &lt;Z&gt;" in page(classroom, "spare-1")


def test_a_spare_is_not_given_away_unless_it_is_proven(
    classroom: Settings, states: dict[str, CanaryState]
) -> None:
    before = read_enrolled(classroom)
    states["spare-1"] = CanaryState(Progress.FAILING, "Flux cannot decrypt it")
    done = assign("spare-1", *ZOE)
    assert done.exit_code == 1
    assert "spare-1: its canary is not in the cluster: Flux cannot decrypt it" in done.stderr
    del states["spare-1"]
    assert "there is no cluster" in assign("spare-1", *ZOE).stderr
    Path(classroom.account_dir("spare-2"), "password").unlink()
    assert "password is missing" in assign("spare-2", *ZOE).stderr
    assert read_enrolled(classroom) == before


def test_a_learner_whose_own_work_is_broken_keeps_the_seat(
    classroom: Settings, states: dict[str, CanaryState]
) -> None:
    assign("spare-1", *ZOE)
    states["spare-1"] = CanaryState(Progress.FAILING, "the learner has removed it")
    assert assign("spare-1", "zoe", "--name", "Zoe").exit_code == 0
    assert seat_of(classroom, "spare-1").name == "Zoe"


def test_every_problem_of_the_learner_is_told_before_anything_is_touched(
    classroom: Settings,
) -> None:
    before = read_enrolled(classroom)
    done = assign("spare-1", "Zoe", "--name", "\u200b", "--email", "nowhere")
    assert done.exit_code == 2
    told = [line.partition(" is refused")[0] for line in done.stderr.splitlines()]
    assert told == ["id 'Zoe'", "name '\\u200b'", "email 'nowhere'"]
    assert "of the lab's own learner" in assign("spare-1", "learner", "--name", "L").stderr
    assert assign("spare-1", "spare-2", "--name", "S").exit_code == 2
    assert read_enrolled(classroom) == before


def test_of_two_at_once_the_second_is_told_which_spares_are_free(classroom: Settings) -> None:
    zoe = Seat(id="zoe", name="Zo\u00eb", email="zoe@example.org")
    after = record_of(assigned(read_enrolled(classroom), "spare-1", zoe))
    lock = Path(classroom.lab_dir, "lock")
    first = subprocess.Popen(
        ["flock", lock, "sh", "-c", "echo held; read -r _; cat >roster.json.new; mv roster.json.new"
         " roster.json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=classroom.class_dir,
    )  # fmt: skip
    with first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        second = subprocess.Popen(
            [sys.executable, "-m", "sopslab", "assign", "spare-1", "eve", "--name", "Eve"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(1.5)
        first.communicate(f"\n{after}")
        told = second.communicate(timeout=30)[1]
    assert second.returncode == 2
    assert told == "spare-1 is the seat of Zo\u00eb: free is spare-2\n"
    assert seat_of(classroom, "spare-1").learner == "zoe"
