"""The order of learners on a page, and how many are done, at work and stuck. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sopslab.checks.board.history import Latest, since
from sopslab.checks.board.steps import Row


class Standing(StrEnum):
    """How a learner is doing."""

    STUCK = "stuck"
    WORKING = "working"
    DONE = "done"


@dataclass(frozen=True)
class Counts:
    """How many learners of a class are done, at work and stuck, and how many ask for help."""

    done: int
    working: int
    stuck: int
    asking: int


def standing(row: Row) -> Standing:
    """Return how a learner is doing."""
    if row.stuck:
        return Standing.STUCK
    return Standing.DONE if row.done else Standing.WORKING


def counts(rows: Sequence[Row]) -> Counts:
    """Return how many learners have which standing."""
    found = [standing(row) for row in rows]
    return Counts(
        done=found.count(Standing.DONE),
        working=found.count(Standing.WORKING),
        stuck=found.count(Standing.STUCK),
        asking=sum(row.asked is not None for row in rows),
    )


_ORDER = (Standing.STUCK, Standing.WORKING, Standing.DONE)


def by_need(rows: Iterable[Row], history: Latest) -> list[Row]:
    """Return the rows in the order of need: learners who ask for help, who are stuck, who are at
    work, who are done. Within each group, the learner who has waited longest comes first."""

    def need(row: Row) -> tuple[int, float]:
        if row.asked is not None:
            return -1, row.asked
        begun = since(history, row)
        # A state that is not on record has only just begun.
        return _ORDER.index(standing(row)), float("inf") if begun is None else begun

    return sorted(rows, key=need)
