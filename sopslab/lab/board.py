"""A class at a glance: one look at the lab's parts and at every seat, judged. `sopslab status` and
`sopslab board` show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sopslab.checks.access import WORDS, terms_of
from sopslab.checks.board.judge import judge, over
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.config.enrolled import read_enrolled
from sopslab.config.environment import at_seat
from sopslab.lab.observe.access import credentials
from sopslab.lab.observe.issuers import issuer_of
from sopslab.lab.observe.observer import Observer
from sopslab.lab.parts import Part

if TYPE_CHECKING:
    from sopslab.config.settings import Seat, Settings

AT_A_TIME = 8
"""Questions of one look; each of them mostly waits for a process."""


@dataclass(frozen=True)
class Found:
    """One look: the parts of the lab, and a row for each learner of a class, as enrolled. What
    spare seats it has is one part."""

    parts: Sequence[Part]
    rows: Sequence[Row]

    @property
    def up(self) -> bool:
        """Whether all of the lab is up, and each seat has what the lab owes it."""
        return all(part.up for part in self.parts) and not any(row.broken for row in self.rows)


def looks(
    settings: Settings, observer: Observer, parts: Callable[[], Callable[[], Sequence[Part]]]
) -> Callable[[], Found]:
    """Return a function that looks; what it has seen once helps it the next time.

    It raises LabError where the roster cannot be read. What else cannot be seen is in what it
    returns.

    + parts: begins to look at the parts of the lab, and returns what waits for the end of that
    """
    judged = _Judgements()

    def look() -> Found:
        begun = parts()
        rows, spares = _seats(settings, observer, judged)
        return Found([*begun(), *_access_part(settings, rows), *_spare_part(spares)], rows)

    return look


def class_rows(settings: Settings, observer: Observer) -> list[Row]:
    """Return how far each learner of the class is. Raises LabError where the roster cannot be
    read."""
    return _seats(settings, observer, _judged)[0]


def _seats(
    settings: Settings, observer: Observer, judged: Callable[[Seat, Seen, bool], Row]
) -> tuple[list[Row], list[Row]]:
    """Return the rows of those who have a seat, and those of spares."""
    seats, now = read_enrolled(settings), datetime.now(UTC)
    seen = observer.seats(list(map(at_seat, seats))) if seats else []
    rows: tuple[list[Row], list[Row]] = ([], [])
    for seat, one in zip(seats, seen, strict=True):
        rows[seat.free].append(judged(seat, one, seat.has_ended(now)))
    return rows


def _access_part(settings: Settings, rows: Sequence[Row]) -> Iterator[Part]:
    """Yield how long those have access to the cluster whose time is not over, where any has."""
    now = datetime.now(UTC)
    seats = [row.seat.id for row in rows if not row.seat.has_ended(now)]
    if (terms := terms_of(credentials(settings, seats), now)) is not None:
        where = f"{WORDS[issuer_of(settings)]}s of the learners"
        yield Part("access", not terms.ended, terms.said, where)


def _spare_part(spares: Sequence[Row]) -> Iterator[Part]:
    """Yield what there is to say of spare seats, where there are any."""
    if spares:
        lacking = [f"{row.seat.id} is not ready: {row.next}" for row in spares if row.broken]
        named = ", ".join(row.seat.id for row in spares)
        yield Part("spares", not lacking, "; ".join(lacking) or "free", named)


class _Judgements:
    """Judges again only what is seen otherwise than the last time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[Seat, Seen, bool], Row]] = {}

    def __call__(self, seat: Seat, seen: Seen, ended: bool) -> Row:
        asked, known = (seat, seen, ended), self._known.get(seat.id)
        if known is None or known[0] != asked:
            known = self._known[seat.id] = (asked, _judged(seat, seen, ended))
        return known[1]


def _judged(seat: Seat, seen: Seen, ended: bool) -> Row:
    """Return how far a learner is. A mistake of ours that one learner's work brings out must not
    hide all the others'."""
    try:
        row = judge(seat, seen)
        return over(row, f"the time was over at {seat.until}.") if ended else row
    except Exception as error:
        found = f"this seat cannot be judged ({type(error).__name__})."
        steps = (Step(name, Progress.UNKNOWN, found, f"sopslab doctor {seat.id}") for name in STEPS)
        return Row(seat, tuple(steps), seen.asked)
