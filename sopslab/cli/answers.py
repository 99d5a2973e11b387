"""What verbs answer programs: JSON, and CSV for a class. It has no styles, and needs no rich."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sopslab.checks.board.steps import STEPS, Progress, Row
from sopslab.cli import spreadsheet
from sopslab.model.results import Result, exit_code

if TYPE_CHECKING:
    from sopslab.checks.diagnosis import Diagnosis


def of_checks(results: Sequence[Result], work: str | None, exposed: Sequence[str] = ()) -> str:
    """Return the results of checks as one JSON object.

    + work: the clone that was looked at
    + exposed: what stays exposed for ever after a drill
    """
    answer = {
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
    return json.dumps(answer, indent=2)


def of_diagnosis(diagnosis: Diagnosis, learner: str) -> str:
    """Return a diagnosis as one JSON object."""
    answer = {
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
    return json.dumps(answer, indent=2)


def of_class(rows: Sequence[Row]) -> list[dict[str, object]]:
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
