"""The history of a class: what has changed since the last look, and what follows from all changes.

Pure. A step that cannot be seen keeps the state in which it was last seen: no learner goes back a
step because the cluster does not answer for a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sopslab.checks.board.steps import STEPS, Progress, Row
from sopslab.model.progress import HELP, Change

PAUSE_S = 6 * 3600.0
"""A change that comes after a longer pause begins another lesson."""

MOST = 40_000
"""The largest number of changes in a history; if there are more, old changes are left out."""

Latest = Mapping[tuple[str, str], Change]
"""The last change of each step of each learner, by the ids of the learner and of the step."""


@dataclass(frozen=True)
class Curve:
    """How a count changed. Each point is a time, in seconds from the beginning, and the count from
    that time on."""

    name: str
    points: Sequence[tuple[float, int]]


def latest(changes: Iterable[Change]) -> dict[tuple[str, str], Change]:
    """Return the last change of each step."""
    return {(one.seat, one.step): one for one in changes}


def changed(before: Latest, rows: Iterable[Row], now: float) -> list[Change]:
    """Return what has changed between the history and the rows.

    + before: the last changes on record
    + rows: what was seen now
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
    """Return when a learner reached the present state, in seconds since 1970; None if this time is
    not on record.

    For a learner who is stuck, it is when the learner got stuck. For any other learner, it is the
    last change of a step, forward or back.
    """
    step = row.open
    if step is not None and step.stuck:
        last = history.get((row.seat.id, step.id))
        return None if last is None or not last.stuck else last.at
    taken = [one.at for name in STEPS if (one := history.get((row.seat.id, name))) is not None]
    return max(taken, default=None)


def beginning(changes: Iterable[Change], opened: float) -> float:
    """Return when the lesson began, in seconds since 1970: at the first change after the last long
    pause.

    + opened: when the board began to look
    """
    times = sorted(one.at for one in changes if one.at < opened)
    begun = before = opened
    for at in reversed(times):
        if before - at > PAUSE_S:
            break
        begun = before = at
    return begun


def by_step(changes: Iterable[Change], seats: Iterable[str], begun: float) -> list[Curve]:
    """Return a curve for each step: how many learners had done it.

    + seats: the ids of the learners to count
    + begun: where the curves begin, in seconds since 1970; the first point has the count of all
        earlier changes
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
    """Return a curve for each learner, by id: how many steps the learner had done."""
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
    """Add a point. It replaces the last point if it is not later, so that the points before the
    beginning become one."""
    if points[-1][0] >= at:
        points[-1] = (points[-1][0], count)
    else:
        points.append((at, count))


def bounded(changes: Sequence[Change]) -> Sequence[Change]:
    """Return a history as it is, or shorten it to about half of `MOST` if it is too long.

    A shortened history has the newest changes of each learner and, so that nobody's progress is
    lost, the last earlier change of each step. Every learner has the same share: many changes of
    one learner do not push out those of another.
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
