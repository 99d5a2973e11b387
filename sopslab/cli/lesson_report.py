"""The report on a class for other programs: CSV for spreadsheets, JUnit XML for grade books."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sopslab.checks.board.lesson import Learner, Lesson, Taken
from sopslab.checks.board.steps import STEPS, Progress, Step
from sopslab.cli import junit, spreadsheet
from sopslab.model.results import Result, Status

_STATUS = {
    Progress.YES: Status.OK,
    Progress.NO: Status.FAILED,
    Progress.UNKNOWN: Status.UNKNOWN,
}
_OF_A_STEP = ("", "_first_done", "_minutes", "_stuck_minutes")


def as_csv(lesson: Lesson) -> str:
    """Return a line for each learner: times are in UTC, and empty if they are not on record."""
    header = (
        *("seat", "name", "group", "done", "asked_for_help", "hints", "commits"),
        *("first_commit", "last_commit", "quiz_answered", "quiz_right"),
        *(f"{step}{what}" for step in STEPS for what in _OF_A_STEP),
        "next",
    )
    return spreadsheet.as_csv(header, map(_line, lesson.learners))


def _line(learner: Learner) -> list[str]:
    row, commits, score = learner.row, learner.work.commits, learner.score
    return [
        row.seat.id,
        row.seat.name,
        row.seat.group or "",
        (Progress.YES if row.done else Progress.NO).value,
        str(learner.asked),
        str(row.hints),
        str(len(commits)),
        spreadsheet.moment(commits[0].at) if commits else "",
        spreadsheet.moment(commits[-1].at) if commits else "",
        "" if score is None else str(score.answered),
        "" if score is None else str(score.right),
        *(
            cell
            for step, taken in zip(row.steps, learner.taken, strict=True)
            for cell in _cells(step, taken)
        ),
        row.next,
    ]


def _cells(step: Step, taken: Taken) -> Iterator[str]:
    yield step.progress.value
    yield "" if taken.done is None else spreadsheet.moment(taken.done)
    yield "" if taken.took is None else f"{taken.took / 60:.1f}"
    yield f"{taken.stuck / 60:.1f}"


def as_junit(learner: Learner, began: datetime) -> str:
    """Return a learner's steps as JUnit XML: a case for each, with its seconds.

    + began: when the class began
    """
    pairs = zip(learner.row.steps, learner.taken, strict=True)
    results = [
        Result(step.id, _STATUS[step.progress], step.found, step.fix, taken.took or 0.0)
        for step, taken in pairs
    ]
    return junit.as_junit(f"sopslab.class.{learner.row.seat.id}", results, began)
