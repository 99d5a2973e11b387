"""The board's pages: what is known of a class, as HTML.

Learners may have written names and sentences. So each is shown as text, in one line, and isolated,
so that it cannot change the direction of the writing around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlencode

from jinja2 import Environment
from markupsafe import Markup

from sopslab.checks.board import history
from sopslab.checks.board.history import Curve
from sopslab.checks.board.order import by_need, counts, standing
from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.files.render import template_environment
from sopslab.layout import TEMPLATES
from sopslab.model.words import hours_and_minutes
from sopslab.policy.printing import in_one_line
from sopslab.web import chart
from sopslab.web.names import labels
from sopslab.web.state import State

FOLDER = TEMPLATES / "board"

_LONGEST_SENTENCE = 400  # characters
_LONGEST_COMMAND = 300
_MARKS = {Progress.YES: "y", Progress.NO: "n", Progress.UNKNOWN: "u"}
_WORDS = {Progress.YES: "done", Progress.NO: "not done", Progress.UNKNOWN: "not known"}
_SIDE_BY_SIDE, _FEW = 3, 12  # on a wall: tables at most, and learners in a table before the next
_MINUTE_S, _DAY_S = 60, 24 * 3600


@dataclass(frozen=True)
class Variant:
    """Which page it is: of the whole class or of a group, for a desk or for a wall."""

    group: str | None = None
    projector: bool = False

    def address(self, path: str = "") -> str:
        """Return the relative URL of a path, for this variant."""
        asked = {} if self.group is None else {"group": self.group}
        query = urlencode(asked | ({"projector": ""} if self.projector else {}))
        return f"{path or './'}?{query}" if query else path or "./"


@dataclass(frozen=True)
class Cell:
    """A step of a learner: how its cell looks, and the word for screen readers."""

    look: str
    word: str


@dataclass(frozen=True)
class Line:
    """A learner as the page shows them."""

    id: str
    name: str
    group: str
    until: str
    standing: str
    asks: bool
    moment: str
    ago: str
    cells: Sequence[Cell]
    next: str
    fix: str
    curve: Markup


@dataclass(frozen=True)
class Labelled:
    """A learner as others may see them."""

    label: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Drawn:
    """How many learners have done a step: now (`count`), and over time (`curve`)."""

    step: str
    count: int
    curve: Markup


class Pages:
    """Makes pages from states. A page is made once for all viewers of the same state."""

    def __init__(self, lab: str) -> None:
        self._lab = lab
        self._templates = _environment()
        self._made: dict[Variant, tuple[str, str]] = {}

    def page(self, state: State, variant: Variant) -> str:
        """Return a whole page."""
        main = Markup(self.main(state, variant))
        template = self._templates.get_template("page.html.j2")
        return template.render(lab=self._lab, variant=variant, main=main, version=state.version)

    def main(self, state: State, variant: Variant) -> str:
        """Return the part of a page that changes."""
        known = variant.group is None or variant.group in _groups(state)
        version, made = self._made.get(variant, ("", ""))
        if version != state.version:
            made = self._render(state, variant)
            # Other groups are not kept: their names may be anything that was typed as an address.
            if known:
                self._made[variant] = state.version, made
        return made

    def _render(self, state: State, variant: Variant) -> str:
        rows = _rows_of(state, variant.group)
        name = "projector.html.j2" if variant.projector else "main.html.j2"
        return self._templates.get_template(name).render(
            lab=self._lab,
            state=state,
            variant=variant,
            counts=counts(rows),
            groups=[(name, Variant(name, variant.projector).address()) for name in _groups(state)],
            everybody=Variant(None, variant.projector).address(),
            other=Variant(variant.group, not variant.projector).address(),
            shows_group=variant.group is None and bool(_groups(state)),
            steps=STEPS,
            lines=[] if variant.projector else _lines(state, rows),
            tables=_on_a_wall(state, rows) if variant.projector else [],
            many=len(rows),
            parts=[] if state.found is None else state.found.parts,
            curves=_curves(state, rows),
            minutes=int(max(state.now - state.begun, 0) // _MINUTE_S),
            seen=_moment(state.seen),
        )


@cache
def _environment() -> Environment:
    templates = template_environment(FOLDER, escaping=True)
    templates.filters["shown"] = in_one_line
    return templates


def _groups(state: State) -> list[str]:
    rows = [] if state.found is None else state.found.rows
    return sorted({row.seat.group for row in rows if row.seat.group})


def _rows_of(state: State, group: str | None) -> list[Row]:
    rows = [] if state.found is None else state.found.rows
    return [row for row in rows if group is None or row.seat.group == group]


def _lines(state: State, rows: Sequence[Row]) -> list[Line]:
    curves = history.by_learner(state.changes, state.begun)
    return [_line(state, row, curves.get(row.seat.id)) for row in by_need(rows, state.latest)]


def _line(state: State, row: Row, curve: Curve | None) -> Line:
    begun = history.since(state.latest, row)
    seconds = state.now - state.begun
    return Line(
        id=row.seat.id,
        name=row.seat.name,
        group=row.seat.group or "",
        until=row.seat.until or "",
        standing=standing(row).value,
        asks=row.asked is not None,
        moment="" if begun is None else _moment(begun),
        ago="" if begun is None else _ago(state.now - begun),
        cells=list(map(_cell, row.steps)),
        next=_clipped(row.next),
        fix=_command(row),
        curve=Markup("")
        if curve is None
        else chart.drawn(curve, chart.LEARNER, seconds, len(STEPS)),
    )


def _cell(step: Step) -> Cell:
    return Cell("s", "stuck") if step.stuck else _plain(step)


def _plain(step: Step) -> Cell:
    return Cell(_MARKS[step.progress], _WORDS[step.progress])


def _clipped(sentence: str) -> str:
    shown = in_one_line(sentence)
    cut = shown[:_LONGEST_SENTENCE].rstrip()
    return shown if len(shown) <= _LONGEST_SENTENCE else f"{cut} …"


def _command(row: Row) -> str:
    """Return the command that helps, or `sopslab doctor` if that command is too long to show: a
    part of a command would do something else."""
    shown = in_one_line(row.fix)
    return shown if len(shown) <= _LONGEST_COMMAND else f"sopslab doctor {row.seat.id}"


def _on_a_wall(state: State, rows: Sequence[Row]) -> list[list[Labelled]]:
    """Return the learners as others may see them, in the order of the roster: in one table if they
    are few, else in up to three that fit side by side on a wall."""
    called = labels([row.seat for row in _rows_of(state, None)])
    shown = [Labelled(called[row.seat.id], list(map(_plain, row.steps))) for row in rows]
    each = max(-(-len(shown) // _SIDE_BY_SIDE), _FEW)
    return [shown[first : first + each] for first in range(0, len(shown), each)]


def _curves(state: State, rows: Sequence[Row]) -> list[Drawn]:
    found = history.by_step(state.changes, (row.seat.id for row in rows), state.begun)
    seconds = state.now - state.begun
    return [
        Drawn(curve.name, curve.points[-1][1], chart.drawn(curve, chart.STEP, seconds, len(rows)))
        for curve in found
    ]


def _moment(seconds: float) -> str:
    """Return a time in UTC, in the form of HTML's element `time`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _ago(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < _DAY_S:
        return hours_and_minutes(seconds)
    return f"{int(seconds // _DAY_S)} d"
