"""What a person sees while a verb runs at the seats of a room: a line for each seat."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.live import Live
from rich.table import Table
from rich.text import Text

from sopslab.cli.console import Console
from sopslab.model.events import Event, SeatEnded, SeatWorks
from sopslab.model.words import counted

_WAITING = "waiting for its turn"


class RoomDisplay:
    """Follow a run's events in a table; without a terminal, print a line when a seat begins
    something else.

    Used as a context manager; `follow` takes the events.
    """

    def __init__(self, console: Console, seats: Sequence[str]) -> None:
        self._console = console
        self._doing = dict.fromkeys(seats, _WAITING)
        self._ended: dict[str, SeatEnded] = {}
        self._started = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self._table, refresh_per_second=4,
            vertical_overflow="ellipsis",
        )  # fmt: skip

    def __enter__(self) -> RoomDisplay:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            # At the end, all lines are shown, even if the screen has fewer.
            self._live.vertical_overflow = "visible"
            self._live.stop()

    def follow(self, event: Event) -> None:
        """Take one event."""
        match event:
            case SeatWorks() if event.seat not in self._ended:
                if self._doing.get(event.seat) != event.doing:
                    self._doing[event.seat] = event.doing
                    self._say(event.seat, Text(event.doing))
            case SeatEnded():
                self._ended[event.seat] = event
                self._doing.setdefault(event.seat, "")
                self._say(event.seat, Text.assemble(_said(event), f" ({event.seconds:.1f} s)"))

    def _say(self, seat: str, text: Text) -> None:
        if not self._console.is_terminal:
            self._console.print(Text.assemble(seat, ": ", text), soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1, 0, 0), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=20)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        now = time.monotonic() - self._started
        for seat, doing in self._doing.items():
            ended = self._ended.get(seat)
            table.add_row(
                _mark(ended),
                Text(seat, "bold"),
                Text(_clock(ended.seconds if ended else now), "dim"),
                _said(ended) if ended else Text(doing),
            )
        return table


def _mark(ended: SeatEnded | None) -> Text:
    if ended is None:
        return Text("…", "yellow")
    return Text("✗", "red") if ended.code else Text("✓", "green")


def _said(ended: SeatEnded) -> Text:
    if ended.code:
        return Text(" ".join(ended.problems), "red")
    # Nothing is said of what there was to do: the verb may only have looked.
    return Text(f"done, {counted(ended.changed, 'change')}")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
