"""How the class is shown: a table for people, one JSON object or one line of CSV per learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.cli import spreadsheet
from sopslab.policy.printing import printable

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

_MARKS = {Progress.YES: ("✓", "green"), Progress.NO: ("✗", ""), Progress.UNKNOWN: ("–", "dim")}
_STUCK = "red"
_NAME = 20  # columns at most for a name
_ROOMY = 110  # columns from which on there is place for more than one name


def as_dicts(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Return the class as `--json` prints it."""
    return [
        {
            "seat": row.seat.id,
            "name": row.seat.name,
            "group": row.seat.group,
            "done": row.done,
            "needs_help": row.stuck,
            "steps": {step.id: step.progress.value for step in row.steps},
            "next": row.next,
            "fix": row.fix,
        }
        for row in rows
    ]


def as_csv(rows: Sequence[Row]) -> str:
    """Return a line with the names of the columns, and one for each learner."""
    header = ("seat", "name", "group", "done", "needs_help", *STEPS, "next", "fix")
    return spreadsheet.as_csv(
        header,
        (
            (
                row.seat.id,
                row.seat.name,
                row.seat.group or "",
                _yes(row.done),
                _yes(row.stuck),
                *(step.progress.value for step in row.steps),
                row.next,
                row.fix,
            )
            for row in rows
        ),
    )


def _yes(value: bool) -> str:
    return (Progress.YES if value else Progress.NO).value


def table(rows: Sequence[Row], width: int) -> Table:
    """Return one line for each learner, and a mark for each step.

    + width: the columns of the screen; without many, a seat is known by its id alone
    """
    named: dict[str, Callable[[Seat], str | None]] = {"seat": lambda seat: seat.id}
    if width >= _ROOMY:
        named["name"] = lambda seat: seat.name
        if any(row.seat.group for row in rows):
            named["group"] = lambda seat: seat.group
    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", expand=True)
    for name in named:
        shown.add_column(name, no_wrap=True, overflow="ellipsis", max_width=_NAME)
    for name in STEPS:
        shown.add_column(name, no_wrap=True, justify="center")
    shown.add_column("next", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        style = _STUCK if row.stuck else ""
        shown.add_row(
            *(Text(printable(value(row.seat) or ""), style) for value in named.values()),
            *map(_mark, row.steps),
            Text(printable(row.next), style),
        )
    return shown


def _mark(step: Step) -> Text:
    mark, style = _MARKS[step.progress]
    return Text(mark, _STUCK if step.stuck else style)


def details(rows: Sequence[Row]) -> Iterator[Text]:
    """Yield for everybody who needs help what is wrong, in full, and the command that helps."""
    for row in rows:
        if not row.stuck:
            continue
        text = Text.assemble((row.seat.id, _STUCK), ": ", row.next)
        if row.fix:
            text.append("\n  → ").append(row.fix, "bold")
        yield text


def summary(rows: Sequence[Row]) -> Text:
    """Return the last line: how many are done, and how many need help."""
    done, stuck = sum(row.done for row in rows), sum(row.stuck for row in rows)
    text = Text(f"{done} of {len(rows)} {'is' if done == 1 else 'are'} done")
    if stuck:
        text.append("; ").append(f"{stuck} need{'s' * (stuck == 1)} help", _STUCK)
    return text.append(".")


def fitting(rows: Sequence[Row], width: int, lines: int) -> Table:
    """Return the table for a screen on which not all may fit.

    + lines: how many there are, the one with the names of the columns included
    """
    if len(rows) < lines:
        return table(rows, width)
    # Who needs help stays, who is done goes first.
    chosen = sorted(rows, key=lambda row: (not row.stuck, row.done))[: max(lines - 2, 1)]
    kept = {row.seat.id for row in chosen}
    cut = table([row for row in rows if row.seat.id in kept], width)
    cut.add_row(Text(f"… {len(rows) - len(kept)} more", "dim"))
    return cut
