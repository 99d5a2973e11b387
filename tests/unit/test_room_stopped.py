"""A verb of a room that is stopped says so, and begins nothing more; what it lacks here is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sopslab.cli import room, room_support
from sopslab.errors import Exit
from sopslab.model.events import SeatEnded
from sopslab.run.runner import Result

PLACE: Any = None
SEATS = room.Seats(PLACE, {"ada": PLACE, "bob": PLACE})
WELL = SeatEnded("ada", 0, 0, 1.0, (), "{}")


def stopped() -> Result:
    """Return the result of a run that was stopped when one of two seats was done."""
    words = "stopped; the same command goes on from here"
    return Result(Exit.INTERRUPTED, 1.0, [], [words], Path("log"), seats={"ada": WELL})


def test_what_was_stopped_is_said_where_no_terminal_shows_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        room.tell_or_exit(SEATS, stopped(), as_json=False)
    said = capsys.readouterr().err.splitlines()
    assert ended.value.code == Exit.INTERRUPTED
    assert said[0].startswith("stopped; the same command goes on")
    assert said[1] == "1 of 2 seats are done; not: bob"


@pytest.mark.parametrize(("verb", "goes_on"), [("reset", True), ("verify", False)])
def test_what_only_looks_does_not_go_on(
    verb: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "run", lambda *_, **__: stopped())
    place: Any = type("Place", (), {"lab_dir": str(tmp_path)})
    seats = room.Seats(place, SEATS.settings)
    (said,) = room.at_seats(room.RUN, seats, [verb], as_json=True).problems
    assert ("goes on" in said) == goes_on


def test_support_brings_nothing_once_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bring(*_: object) -> NoReturn:
        raise AssertionError

    monkeypatch.setattr(room, "seats_or_exit", lambda *_, **__: SEATS)
    monkeypatch.setattr(room, "at_seats", lambda *_, **__: stopped())
    monkeypatch.setattr(room_support, "_brought", bring)
    with pytest.raises(SystemExit) as ended:
        room_support.bring_or_exit([], as_json=False)
    assert ended.value.code == Exit.INTERRUPTED
    assert "stopped" in capsys.readouterr().err


def bring_all(
    monkeypatch: pytest.MonkeyPatch, bring: Callable[..., str], *, as_json: bool
) -> object:
    """Have reports of seats, which all have made one, brought by a function, and return the exit
    code."""
    well = dict.fromkeys(SEATS.ids, WELL)
    made = Result(Exit.OK, 1.0, [], [], Path("log"), seats=well)
    monkeypatch.setattr(room, "seats_or_exit", lambda *_, **__: SEATS)
    monkeypatch.setattr(room, "at_seats", lambda *_, **__: made)
    monkeypatch.setattr(room_support, "_brought", bring)
    with pytest.raises(SystemExit) as ended:
        room_support.bring_or_exit([], as_json=as_json)
    return ended.value.code


def test_what_was_brought_before_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bring(_seats: object, name: str) -> str:
        if name == "bob":
            raise KeyboardInterrupt
        return f"support-{name}.tar.gz"

    assert bring_all(monkeypatch, bring, as_json=False) == Exit.INTERRUPTED
    shown = capsys.readouterr()
    assert shown.out == "support-ada.tar.gz\n"
    assert shown.err.splitlines()[:2] == ["stopped", "1 of 2 seats are done; not: bob"]


def test_a_full_disk_of_this_machine_is_told_of_each_seat(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bring(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device", "ssh/config")

    assert bring_all(monkeypatch, bring, as_json=True) == Exit.PARTIAL
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == {}
    for name, problem in zip(SEATS.ids, told["problems"], strict=True):
        assert problem.startswith(f"{name}: the machine that makes the room could not go on")
        assert "No space left on device (ssh/config)" in problem
