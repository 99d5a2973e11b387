"""The history of a class: what has changed since the last look, and what follows from all of it.

Pure. A step that could not be seen is what it was when it was seen last: a cluster that does not
answer for a minute is no step back of anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sopslab.checks.board.steps import STEPS, Progress, Row
from sopslab.model.progress import HELP, Change

PAUSE_S = 6 * 3600.0
"""After so long without a change another lesson has begun."""

MOST = 40_000
"""Changes that a history has at most, before what is old of it is left out."""

Latest = Mapping[tuple[str, str], Change]
"""The last change of each step of each learner, by the ids of both."""


@dataclass(frozen=True)
class Curve:
    """How a count moved: pairs of a time, in seconds from the beginning, and the count from then
    on."""

    name: str
    points: Sequence[tuple[float, int]]


def latest(changes: Iterable[Change]) -> dict[tuple[str, str], Change]:
    """Return the last change of each step."""
    return {(one.seat, one.step): one for one in changes}


def changed(before: Latest, rows: Iterable[Row], now: float) -> list[Change]:
    """Return what is another way than before.

    + now: when the rows were seen, in seconds since 1970
    """
    found = []
    for row in rows:
        for step in row.steps:
            if step.progress is not Progress.UNKNOWN:
                found.append(Change(now, row.seat.id, step.id, step.progress.value, step.stuck))
        if row.asked is not None:
            found.append(Change(row.asked, row.seat.id, HELP, Progress.YES.value))
        elif (row.seat.id, HELP) in before:
            found.append(Change(now, row.seat.id, HELP, Progress.NO.value))
    return [one for one in found if _differs(before.get((one.seat, one.step)), one)]


def _differs(before: Change | None, now: Change) -> bool:
    return before is None or (before.progress, before.stuck) != (now.progress, now.stuck)


def since(history: Latest, row: Row) -> float | None:
    """Return since when a row is as it is, in seconds since 1970; None if that is not on record.

    Of a learner who is stuck, that is since when; of one who is not, since the last step that was
    taken, forward or back.
    """
    step = row.open
    if step is not None and step.stuck:
        last = history.get((row.seat.id, step.id))
        return None if last is None or not last.stuck else last.at
    taken = [one.at for name in STEPS if (one := history.get((row.seat.id, name))) is not None]
    return max(taken, default=None)


def beginning(changes: Iterable[Change], opened: float) -> float:
    """Return when the lesson began, with the first change after a pause: in seconds since 1970.

    + opened: when somebody began to look
    """
    times = sorted(one.at for one in changes if one.at < opened)
    begun = before = opened
    for at in reversed(times):
        if before - at > PAUSE_S:
            break
        begun = before = at
    return begun


def by_step(changes: Iterable[Change], seats: Iterable[str], begun: float) -> list[Curve]:
    """Return for each step how many of the learners had it done.

    + seats: the ids of those who count
    + begun: where the curves begin, in seconds since 1970; what was before is their first point
    """
    own = set(seats)
    done: dict[str, set[str]] = {step: set() for step in STEPS}
    points: dict[str, list[tuple[float, int]]] = {step: [(0.0, 0)] for step in STEPS}
    for one in changes:
        if one.seat in own and one.step in done:
            _mark(done[one.step], one.seat, one)
            _add(points[one.step], one.at - begun, len(done[one.step]))
    return [Curve(step, points[step]) for step in STEPS]


def by_learner(changes: Iterable[Change], begun: float) -> dict[str, Curve]:
    """Return for each learner, by id, how many steps were done."""
    done: dict[str, set[str]] = {}
    points: dict[str, list[tuple[float, int]]] = {}
    for one in changes:
        if one.step in STEPS:
            _mark(done.setdefault(one.seat, set()), one.step, one)
            _add(points.setdefault(one.seat, [(0.0, 0)]), one.at - begun, len(done[one.seat]))
    return {seat: Curve(seat, found) for seat, found in points.items()}


def _mark(done: set[str], what: str, change: Change) -> None:
    if change.progress == Progress.YES.value:
        done.add(what)
    else:
        done.discard(what)


def _add(points: list[tuple[float, int]], at: float, count: int) -> None:
    """Add a point; of those at one time, and before the beginning, the last one counts."""
    if points[-1][0] >= at:
        points[-1] = (points[-1][0], count)
    else:
        points.append((at, count))


def bounded(changes: Sequence[Change]) -> Sequence[Change]:
    """Return a history, or half of one that has become too long: of each learner the newest, and
    before them the last change of each step, so that how far somebody is stays known.

    Each learner has the same part of that: who changes something all the time takes nothing from
    the others' history.
    """
    if len(changes) <= MOST:
        return changes
    own: dict[str, list[Change]] = {}
    for one in changes:
        own.setdefault(one.seat, []).append(one)
    each = MOST // 2 // len(own)
    kept = []
    for found in own.values():
        old, new = found[: max(len(found) - each, 0)], found[max(len(found) - each, 0) :]
        kept += [*latest(old).values(), *new]
    return sorted(kept, key=lambda one: one.at)
