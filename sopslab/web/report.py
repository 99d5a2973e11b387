"""The report on a class, as one page of HTML that loads no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from sopslab.checks.board.history import by_step
from sopslab.checks.board.lesson import Learner, Lesson, Taken
from sopslab.checks.board.steps import Progress, Step
from sopslab.files.render import template_environment
from sopslab.layout import TEMPLATES
from sopslab.model.words import hours_and_minutes
from sopslab.policy.printing import in_one_line
from sopslab.web import chart

FOLDER = TEMPLATES / "report"

_WORDS = {Progress.YES: "done", Progress.NO: "not done", Progress.UNKNOWN: "not known"}
_HOUR_S, _DAY_S = 3600, 24 * 3600
# How many letters of a commit's id are shown.
_SHORT = 10


@dataclass(frozen=True)
class ShownStep:
    """A step of a learner, in words."""

    name: str
    state: str
    done: str
    took: str
    stuck: str


@dataclass(frozen=True)
class ShownLearner:
    """A learner, in words."""

    id: str
    name: str
    group: str
    done: int
    next: str
    asked: int
    hints: int
    quiz: str
    steps: Sequence[ShownStep]
    commits: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownSummary:
    """A step over the whole class, in words."""

    name: str
    done: int
    took: str
    stuck: int
    curve: Markup


def page(lab: str, lesson: Lesson, written: float, lacks: Sequence[str] = ()) -> str:
    """Return the page.

    + written: when the page is made, in seconds since 1970
    + lacks: what the cluster lacked and the lab file accepted, in sentences
    """
    templates = template_environment(FOLDER, escaping=True)
    templates.filters["shown"] = in_one_line
    learners = list(map(_learner, lesson.learners))
    return templates.get_template("class.html.j2").render(
        lab=lab,
        written=moment(written),
        begun=moment(lesson.begun),
        ended=moment(lesson.ended),
        finished=sum(learner.row.done for learner in lesson.learners),
        shows_group=any(learner.group for learner in learners),
        steps=_summaries(lesson),
        learners=learners,
        lacks=lacks,
    )


def moment(seconds: float | None) -> str:
    """Return a time in UTC, to the minute; empty for None."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _learner(learner: Learner) -> ShownLearner:
    row, score = learner.row, learner.score
    pairs = zip(row.steps, learner.taken, strict=True)
    return ShownLearner(
        row.seat.id,
        row.seat.name,
        row.seat.group or "",
        sum(step.progress is Progress.YES for step in row.steps),
        row.next,
        learner.asked,
        row.hints,
        "" if score is None else f"{score.right} of {score.answered} right",
        [_step(step, taken) for step, taken in pairs],
        [(one.id[:_SHORT], moment(one.at)) for one in learner.work.commits],
    )


def _step(step: Step, taken: Taken) -> ShownStep:
    state = "stuck" if step.stuck else _WORDS[step.progress]
    stuck = _duration(taken.stuck) if taken.stuck else ""
    return ShownStep(step.id, state, moment(taken.done), _duration(taken.took), stuck)


def _summaries(lesson: Lesson) -> list[ShownSummary]:
    seats = [learner.row.seat.id for learner in lesson.learners]
    begun = lesson.begun or 0.0
    seconds = (lesson.ended or 0.0) - begun
    curves = [
        chart.drawn(curve, chart.STEP, seconds, len(seats))
        for curve in by_step(lesson.changes, seats, begun)
    ]
    return [
        ShownSummary(one.step, one.done, _duration(one.took), one.stuck, curve)
        for one, curve in zip(lesson.steps, curves, strict=True)
    ]


def _duration(seconds: float | None) -> str:
    """Return in words how long something took; empty for None."""
    if seconds is None:
        return ""
    if seconds < _DAY_S:
        return hours_and_minutes(seconds)
    return f"{int(seconds // _DAY_S)} d {int(seconds % _DAY_S // _HOUR_S)} h"
