"""How the class is shown to people: a table, and sentences about those who need help."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.model.words import hours_and_minutes
from sopslab.policy.printing import printable

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

_MARKS = {Progress.YES: ("✓", "green"), Progress.NO: ("✗", ""), Progress.UNKNOWN: ("–", "dim")}
_STUCK = "red"
_ASKS = "bold yellow"
_NAME = 22  # columns at most for a name, or for a time
_ROOMY = 110  # columns that a screen needs to show more about learners than their ids


def table(rows: Sequence[Row], width: int, now: float) -> Table:
    """Return a line for each learner, with a mark for each step, and with the time since the
    learner asked for help.

    + width: the number of columns of the screen; if it is small, lines have only ids
    + now: in seconds since 1970
    """
    named: dict[str, Callable[[Seat], str | None]] = {"seat": lambda seat: seat.id}
    if width >= _ROOMY:
        named["name"] = lambda seat: seat.name
        if any(row.seat.group for row in rows):
            named["group"] = lambda seat: seat.group
        if any(row.seat.expires for row in rows):
            named["expires"] = lambda seat: seat.until
    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", expand=True)
    for name in named:
        shown.add_column(name, no_wrap=True, overflow="ellipsis", max_width=_NAME)
    asking = any(row.asked is not None for row in rows)
    if asking:
        shown.add_column("asks", no_wrap=True, justify="right")
    for name in STEPS:
        shown.add_column(name, no_wrap=True, justify="center")
    shown.add_column("next", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        style = _STUCK if row.stuck else ""
        shown.add_row(
            *(Text(printable(value(row.seat) or ""), style) for value in named.values()),
            *([Text("" if row.asked is None else ago(row.asked, now), _ASKS)] if asking else []),
            *map(_mark, row.steps),
            Text(printable(row.next), style),
        )
    return shown


def _mark(step: Step) -> Text:
    mark, style = _MARKS[step.progress]
    return Text(mark, _STUCK if step.stuck else style)


def details(rows: Sequence[Row], now: float) -> Iterator[Text]:
    """Yield a text for each learner who needs help or asks for it: in full, what is wrong or comes
    next, and the command that helps.

    + now: in seconds since 1970
    """
    for row in rows:
        if not row.stuck and row.asked is None:
            continue
        text = Text.assemble((row.seat.id, _STUCK if row.stuck else ""), ": ")
        if row.asked is not None:
            text.append(f"asked for help {ago(row.asked, now)} ago", _ASKS)
            text.append(f"; {row.next}" if row.next else ".")
        else:
            text.append(row.next)
        if row.fix:
            text.append("\n  → ").append(row.fix, "bold")
        yield text


def ago(since: float, now: float) -> str:
    """Return a duration in words: `3 min`, or `2 h 5 min`."""
    return hours_and_minutes(now - since)


def summary(rows: Sequence[Row]) -> Text:
    """Return the last line: how many learners are done, need help, and ask for it."""
    done, stuck = sum(row.done for row in rows), sum(row.stuck for row in rows)
    asking = sum(row.asked is not None for row in rows)
    text = Text(f"{done} of {len(rows)} {'is' if done == 1 else 'are'} done")
    if stuck:
        text.append("; ").append(f"{stuck} need{'s' * (stuck == 1)} help", _STUCK)
    if asking:
        text.append("; ").append(f"{asking} ask{'s' * (asking == 1)} for help", _ASKS)
    return text.append(".")


def fitting(rows: Sequence[Row], width: int, lines: int, now: float) -> Table:
    """Return the table for a screen that may be too small for all learners.

    + lines: those of the screen, including the one with the names of the columns
    + now: in seconds since 1970
    """
    if len(rows) < lines:
        return table(rows, width, now)
    # Learners who need help or ask for it stay; those who are done are left out first.
    ranked = sorted(rows, key=lambda row: (row.asked is None, not row.stuck, row.done))
    kept = {row.seat.id for row in ranked[: max(lines - 2, 1)]}
    cut = table([row for row in rows if row.seat.id in kept], width, now)
    cut.add_row(Text(f"… {len(rows) - len(kept)} more", "dim"))
    return cut
