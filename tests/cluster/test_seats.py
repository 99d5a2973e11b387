"""A real room: a lab on each of two machines that had nothing, made from this machine by SSH."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.seats import SEAT_ROOT, SOPSLAB, Room, Seat, room

pytestmark = [pytest.mark.soak, pytest.mark.machines]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """A room with a seat for Ada and one for Bob."""
    with room(tmp_path_factory.mktemp("room"), ["ada", "bob"]) as found:
        yield found


def seats_of(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["seats"]
    return found


def identity(seat: Seat) -> str:
    """Return the public half of the seat's own identity."""
    keys = f"{SEAT_ROOT}/labs"
    return seat.machine.run("sh", "-c", f"cat {keys}/*/keys/{seat.learner}.pub").stdout.strip()


def test_a_run_that_was_killed_is_continued_by_the_next_one(made: Room) -> None:
    """Kill the run while the machines assemble images, before they make clusters: a machine in a
    container makes one in its life, since systemd in a second one finds no cgroups of its own."""
    process = made.start("up", "--install-docker")
    assert process.stdout is not None
    while "image" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    code, answer = made.up()
    assert code == 0, answer["problems"]


def test_a_room_is_made_and_a_second_run_changes_nothing(made: Room) -> None:
    home = sorted(path.name for path in (made.folder / "home" / ".ssh").iterdir())
    code, answer = made.up()
    assert code == 0, answer["problems"]
    assert {name: one["ok"] for name, one in seats_of(answer).items()} == {"ada": True, "bob": True}
    code, again = made.up()
    assert (code, again["changed"]) == (0, 0)

    for learner, seat in made.seats.items():
        # Each learner has a lab of their own on their machine.
        shown = seat.machine.run("cat", f"{SEAT_ROOT}/lab.yaml").stdout
        told = yaml.safe_load(shown)
        assert told["learner"]["id"] == learner
        assert told["instructor_recipient"].startswith("age1")
        assert seat.machine.run(SOPSLAB, "status").returncode == 0
        everything = seat.machine.run(
            "sh", "-c", f"ls {SEAT_ROOT}/labs/*/keys; cat {SEAT_ROOT}/labs/*/work/.sops.yaml"
        ).stdout
        assert "instructor.agekey" not in everything
        assert told["instructor_recipient"] in everything
    # Each seat has made an identity of its own, and the user's files for ssh are unchanged.
    assert len({identity(seat) for seat in made.seats.values()}) == 2
    assert sorted(path.name for path in (made.folder / "home" / ".ssh").iterdir()) == home
    private = Path(made.root, "rooms", made.name, "keys", "instructor.agekey")
    assert private.stat().st_mode & 0o777 == 0o600


def test_verbs_look_at_and_change_the_seats_that_are_meant(made: Room) -> None:
    code, status = made.sopslab("status")
    assert code == 0
    assert {name: one["ok"] for name, one in seats_of(status).items()} == {"ada": True, "bob": True}
    assert all(0 < one["exercise"]["done"] < one["exercise"]["of"]
               for one in seats_of(status).values())  # fmt: skip

    code, reset = made.sopslab("reset", "ada", "--to", "done", "--yes")
    assert (code, list(seats_of(reset))) == (0, ["ada"])
    code, verify = made.sopslab("verify")
    assert code == 4
    assert {name: one["ok"] for name, one in seats_of(verify).items()} == {
        "ada": True, "bob": False,
    }  # fmt: skip
    code, broken = made.sopslab("break", "wrong-key", "ada")
    assert code == 0, broken
    assert made.sopslab("doctor", "ada")[0] == 4
    assert made.sopslab("fix", "ada")[0] == 0
    assert made.sopslab("doctor", "ada")[0] == 0


def test_a_dead_machine_is_named_and_the_others_are_up(made: Room) -> None:
    made.write_roster(zoe="203.0.113.7", lei="no-such-seat.invalid")
    try:
        code, answer = made.up()
    finally:
        made.write_roster()
    assert code == 4
    seats = seats_of(answer)
    assert {name: one["ok"] for name, one in seats.items()} == {
        "ada": True, "bob": True, "zoe": False, "lei": False,
    }  # fmt: skip
    assert all(seats[name]["seconds"] < 12 for name in ("zoe", "lei"))
    assert {problem.partition(":")[0] for problem in answer["problems"]} == {"zoe", "lei"}


def test_a_machine_that_was_rebooted_has_its_lab_again(made: Room) -> None:
    before = identity(made.seats["bob"])
    made.seats["bob"].reboot()
    made.write_roster()
    code, answer = made.up("--limit", "bob")
    assert code == 0, answer["problems"]
    assert identity(made.seats["bob"]) == before


def test_sudo_that_asks_for_a_password_is_said_in_one_sentence(made: Room) -> None:
    ada = made.seats["ada"].machine
    ada.run("sh", "-euc", "useradd --create-home --shell /bin/sh lei;"
            " usermod --append --groups sudo,docker lei;"
            " cp -r ~/.ssh ~lei/; chown -R lei: ~lei")  # fmt: skip
    entries = yaml.safe_load((made.folder / "class.yaml").read_text())
    (made.folder / "class.yaml").write_text(yaml.safe_dump([{**entries[0], "user": "lei"}]))
    try:
        began = time.monotonic()
        code, answer = made.up()
    finally:
        made.write_roster()
    assert code == 4
    (problem,) = answer["problems"]
    assert "NOPASSWD" in problem
    assert time.monotonic() - began < 60


def test_support_brings_a_report_of_each_seat(made: Room, tmp_path: Path) -> None:
    process = made.start("support")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    for learner in made.seats:
        report = Path(f"support-{learner}.tar.gz")
        assert report.stat().st_mode & 0o777 == 0o600
        report.unlink()
    assert "support-ada.tar.gz" in out


def test_a_room_is_taken_down(made: Room) -> None:
    code, answer = made.sopslab("down", "--yes")
    assert code == 0, answer["problems"]
    for seat in made.seats.values():
        assert seat.machine.run("docker", "ps", "--quiet").stdout == ""
