"""What a class did: who did what and when, how long each step took, and where people got stuck.
Pure.

A step counts as done at the time when a board first saw it done. Times of commits come from the
clocks of the learners' machines.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sopslab.checks.board.steps import STEPS, Progress, Row
from sopslab.model.progress import HELP, Change
from sopslab.model.work import Work


@dataclass(frozen=True)
class Score:
    """A learner's recorded answers to the quiz: how many there are, and how many are right."""

    answered: int
    right: int


@dataclass(frozen=True)
class Taken:
    """A step of a learner.

    `done` is when it was first seen done, in seconds since 1970, None if it was not. `took` is the
    number of seconds since the previous step was done, or since the beginning. `stuck` is the
    number of seconds for which the learner was stuck.
    """

    step: str
    done: float | None
    took: float | None
    stuck: float


@dataclass(frozen=True)
class Learner:
    """What a learner did. `asked` is how often the learner asked for help; `score` is None if no
    answers to the quiz are recorded."""

    row: Row
    taken: Sequence[Taken]
    asked: int
    work: Work
    score: Score | None


@dataclass(frozen=True)
class StepSummary:
    """A step in the whole class: how many learners have done it by now, the median of the seconds
    that it took, and how many learners were ever stuck at it."""

    step: str
    done: int
    took: float | None
    stuck: int


@dataclass(frozen=True)
class Lesson:
    """What a class did. `begun` and `ended` are the times of the first and the last change on
    record, in seconds since 1970, None if no change is on record."""

    learners: Sequence[Learner]
    begun: float | None
    ended: float | None
    changes: Sequence[Change] = field(repr=False)

    @property
    def steps(self) -> list[StepSummary]:
        """The steps of the chapter, in order."""
        return [self._summary(step) for step in STEPS]

    def _summary(self, step: str) -> StepSummary:
        taken = [one for learner in self.learners for one in learner.taken if one.step == step]
        times = [one.took for one in taken if one.took is not None]
        done = sum(
            one.progress is Progress.YES
            for learner in self.learners
            for one in learner.row.steps
            if one.id == step
        )
        median = statistics.median(times) if times else None
        return StepSummary(step, done, median, sum(one.stuck > 0 for one in taken))


def looked_back(
    rows: Sequence[Row],
    changes: Sequence[Change],
    work: Mapping[str, Work],
    scores: Mapping[str, Score],
    now: float,
) -> Lesson:
    """Return what a class did.

    + rows: how far everybody is now
    + changes: the history, oldest first
    + work, scores: by learners' ids; `scores` has only learners with recorded answers
    + now: in seconds since 1970
    """
    seats = {row.seat.id for row in rows}
    own = [one for one in changes if one.seat in seats]
    begun = own[0].at if own else None
    learners = []
    for row in rows:
        mine = [one for one in own if one.seat == row.seat.id]
        asked = sum(one.step == HELP and one.progress == Progress.YES.value for one in mine)
        learners.append(
            Learner(
                row,
                _taken(mine, begun, now),
                asked,
                work.get(row.seat.id, Work()),
                scores.get(row.seat.id),
            )
        )
    # A call for help is on record from when it was seen, with the time at which it was made.
    return Lesson(learners, begun, max((one.at for one in own), default=None), own)


def _taken(changes: Sequence[Change], begun: float | None, now: float) -> list[Taken]:
    """Return the steps of one learner."""
    taken, before = [], begun
    for step in STEPS:
        of_step = [one for one in changes if one.step == step]
        done = next((one.at for one in of_step if one.progress == Progress.YES.value), None)
        # A step that was done before the one that precedes it took no time.
        took = None if done is None or before is None else max(done - before, 0.0)
        taken.append(Taken(step, done, took, _stuck(of_step, now)))
        before = max(filter(None, (before, done)), default=None)
    return taken


def _stuck(changes: Sequence[Change], now: float) -> float:
    """Return the seconds in which a learner was stuck at a step."""
    ends = [*(one.at for one in changes[1:]), now]
    return sum(end - one.at for one, end in zip(changes, ends, strict=False) if one.stuck)
