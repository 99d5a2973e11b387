"""The rows of learners, told the Git server: each learner's page there shows the own one only.

They are there while somebody looks. The server reads them by its group, and nobody else does.
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
    """Have the rows of these learners there, and those of nobody else; one that says the same as
    before is not written. Nothing where the Git server is not the lab's own. Raises OSError.

    + unchanged: whose rows say the same as when they were written
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
    """Have no rows there: nobody looks any more. Raises OSError."""
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
