"""Learners' rows of the board, for the Git server: each learner's page there shows only their own
row.

The rows exist while somebody looks at the board. The server can read them by its group, and nobody
else can.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from sopslab.errors import LabError
from sopslab.lab.act.served import show_rows, withdraw_rows
from sopslab.model.rows import OwnRow, OwnStep

if TYPE_CHECKING:
    from sopslab.checks.board.steps import Row
    from sopslab.config.places import Places


def publish(places: Places, rows: Iterable[Row], unchanged: Collection[str] = ()) -> None:
    """Publish the rows of these learners, and remove all others; an unchanged row is not written
    again. Do nothing where the Git server is not the lab's own. Raises OSError.

    + unchanged: the learners whose rows have not changed since they were written
    """
    if places.git_url is not None:
        return
    now = round(time.time(), 1)
    own = {row.seat.id: _own(row, now) for row in rows}
    try:
        show_rows(places, own, sorted(unchanged), now)
    except LabError as error:
        raise OSError(None, str(error)) from None


def withdraw(places: Places) -> None:
    """Remove all rows, because nobody looks at the board any more. Raises OSError."""
    try:
        withdraw_rows(places)
    except LabError as error:
        raise OSError(None, str(error)) from None


def _own(row: Row, seen: float) -> OwnRow:
    steps = [
        OwnStep(one.id, one.progress.value, one.found, one.fix, one.stuck) for one in row.steps
    ]
    asked = None if row.asked is None else float(row.asked)
    return OwnRow(seen, steps, row.next, row.fix, asked)
