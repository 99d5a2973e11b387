"""`sopslab status` in a room that is stopped, or whose seats answer once and then no more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sopslab.cli import room, room_status
from sopslab.errors import Exit, LabError
from sopslab.model.events import SeatEnded
from sopslab.run.runner import Result

PLACE: Any = None
WELL = SeatEnded("ada", 0, 0, 1.0, (), "{}")
CHECKED = SeatEnded("ada", 1, 0, 1.0, ("wired",), '{"checks": [{"id": "wired", "status": "ok"}]}')
LOST = SeatEnded("ada", 10, 0, 1.0, ("it does not answer",))


def result(code: Exit, ended: SeatEnded, *problems: str) -> Result:
    return Result(code, 1.0, [], [*problems], Path("log"), seats={ended.seat: ended})


def status(monkeypatch: pytest.MonkeyPatch, *results: Result) -> tuple[list[str], object]:
    """Return the verbs that were run at the seats, and the exit code."""
    asked: list[str] = []
    left = list(results)

    def at_seats(_deploy: str, _seats: object, words: Sequence[str], **_: object) -> Result:
        asked.extend(words)
        return left.pop(0)

    monkeypatch.setattr(room, "seats_or_exit", lambda *_, **__: room.Seats(PLACE, {"ada": PLACE}))
    monkeypatch.setattr(room, "at_seats", at_seats)
    with pytest.raises(SystemExit) as ended:
        room_status.show_or_exit([], as_json=False)
    return asked, ended.value.code


def test_who_stops_the_look_gets_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = result(Exit.INTERRUPTED, WELL)
    assert status(monkeypatch, stopped) == (["status"], Exit.INTERRUPTED)


def test_a_second_look_that_is_stopped_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = result(Exit.OK, WELL), result(Exit.TERMINATED, CHECKED, "stopped")
    assert status(monkeypatch, *looks) == (["status", "verify"], Exit.TERMINATED)
    assert "\nstopped\n" in capsys.readouterr().out


def test_progress_makes_no_difference_to_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = result(Exit.OK, WELL), result(Exit.PARTIAL, CHECKED)
    assert status(monkeypatch, *looks) == (["status", "verify"], Exit.OK)


def test_what_was_not_seen_is_no_progress_of_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status(monkeypatch, result(Exit.OK, WELL), result(Exit.PARTIAL, LOST))
    shown = capsys.readouterr().out
    assert "0 of 0" not in shown and "was not seen" in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_a_look_that_cannot_begin_answers_in_json_only_where_that_was_asked_for(
    as_json: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def run(*_: object, **__: object) -> NoReturn:
        raise LabError("the log cannot be written", Exit.HOST)

    place: Any = type("Place", (), {"lab_dir": str(tmp_path)})
    monkeypatch.setattr(room, "run", run)
    monkeypatch.setattr(room, "seats_or_exit", lambda *_, **__: room.Seats(place, {"ada": PLACE}))
    with pytest.raises(SystemExit) as ended:
        room_status.show_or_exit([], as_json=as_json)
    assert ended.value.code == Exit.HOST
    shown = capsys.readouterr()
    if as_json:
        assert json.loads(shown.out)["problems"] == ["the log cannot be written"]
    else:
        assert (shown.out, shown.err) == ("", "the log cannot be written\n")
