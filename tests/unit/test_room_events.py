"""How a run went at the seats of a room, by its events: as a result and on a screen."""

from __future__ import annotations

import io
import re

from sopslab.cli.console import Console
from sopslab.cli.room_display import RoomDisplay
from sopslab.model.events import Event, SeatEnded, SeatWorks, from_line, to_line

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
EVENTS: list[Event] = [
    SeatWorks("ada", "delivery: 0 % of 600 MB"),
    SeatWorks("bob", "delivery: 0 % of 600 MB"),
    SeatWorks("ada", "delivery: 0 % of 600 MB"),
    SeatWorks("ada", "artifacts 3/40: Build [the] node image"),
    SeatEnded("bob", 10, 0, 9.5, ("bob@seat-2: nothing answers there", "look at it")),
    SeatWorks("bob", "too late"),
    SeatEnded("ada", 0, 1, 83.25, (), '{"ok": true}'),
    SeatEnded("zoe", 0, 0, 4.0),
]


def shown(*, terminal: bool, width: int = 60) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, height=3, color_system=None)
    with RoomDisplay(console, ["ada", "bob", "zoe", "lei"]) as display:
        for event in EVENTS:
            display.follow(event)
    lines = (_ESCAPE.sub("", line).rstrip() for line in out.getvalue().splitlines())
    return [line for line in lines if line]


def test_events_of_seats_survive_their_line() -> None:
    assert [from_line(to_line(event)) for event in EVENTS] == EVENTS


def test_without_a_terminal_each_thing_is_said_once_on_a_line() -> None:
    assert shown(terminal=False) == [
        "ada: delivery: 0 % of 600 MB",
        "bob: delivery: 0 % of 600 MB",
        "ada: artifacts 3/40: Build [the] node image",
        "bob: bob@seat-2: nothing answers there look at it (9.5 s)",
        "ada: done, 1 change (83.2 s)",
        "zoe: done, 0 changes (4.0 s)",
    ]


def test_on_a_terminal_there_is_a_line_for_each_seat_also_of_more_than_fit() -> None:
    lines = shown(terminal=True)[-4:]
    assert [line.split()[0:2] for line in lines] == [
        ["✓", "ada"], ["✗", "bob"], ["✓", "zoe"], ["…", "lei"],
    ]  # fmt: skip
    assert lines[0].endswith("1:23 done, 1 change")
    assert "0:09 bob@seat-2: nothing answers" in lines[1]
    assert all(len(line) <= 60 for line in lines)
