"""What verbs answer programs: JSON, and CSV for a class. It has no styles, and needs no rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sopslab.checks.board.steps import STEPS, Progress, Row
from sopslab.cli import spreadsheet
from sopslab.model.results import Result, exit_code

if TYPE_CHECKING:
    from sopslab.checks.diagnosis import Diagnosis

Answer = dict[str, Any]


def of_checks(results: Sequence[Result], work: str | None, exposed: Sequence[str] = ()) -> Answer:
    """Return the results of checks as an object for JSON.

    + work: the clone that was looked at
    + exposed: what stays exposed for ever after a drill
    """
    return {
        "ok": exit_code(results) == 0,
        "clone": work,
        "exposed_for_ever": list(exposed),
        "checks": [
            {
                "id": result.id,
                "status": result.status.value,
                "found": result.found,
                "next": result.next_step,
                "seconds": result.seconds,
            }
            for result in results
        ],
    }


def of_diagnosis(diagnosis: Diagnosis, learner: str) -> Answer:
    """Return a diagnosis as an object for JSON."""
    return {
        "ok": diagnosis.exit_code == 0,
        "environment": learner,
        "causes": [
            {
                "id": one.id,
                "cause": one.sentence,
                "evidence": [
                    {"object": evidence.what, "seen": evidence.seen} for evidence in one.evidence
                ],
                "next": one.next_step,
            }
            for one in diagnosis.causes
        ],
        "undecided": list(diagnosis.undecided),
    }


def of_class(rows: Sequence[Row]) -> list[Answer]:
    """Return each learner of a class as an object for JSON."""
    return [
        {
            "seat": row.seat.id,
            "name": row.seat.name,
            "group": row.seat.group,
            "done": row.done,
            "needs_help": row.stuck,
            "asked": row.asked,
            "hints": row.hints,
            "steps": {step.id: step.progress.value for step in row.steps},
            "next": row.next,
            "fix": row.fix,
            "expires": row.seat.expires,
        }
        for row in rows
    ]


def lines_of_class(rows: Sequence[Row]) -> str:
    """Return a class as CSV: a line with the names of the columns, and one for each learner.

    The time of a request for help is in UTC, in ISO 8601.
    """
    about = ("seat", "name", "group", "done", "needs_help", "asked", "hints")
    return spreadsheet.as_csv(
        (*about, *STEPS, "next", "fix", "expires"),
        (
            (
                row.seat.id,
                row.seat.name,
                row.seat.group or "",
                _yes(row.done),
                _yes(row.stuck),
                "" if row.asked is None else spreadsheet.moment(row.asked),
                str(row.hints),
                *(step.progress.value for step in row.steps),
                row.next,
                row.fix,
                row.seat.expires or "",
            )
            for row in rows
        ),
    )


def _yes(value: bool) -> str:
    return (Progress.YES if value else Progress.NO).value
