"""What the board writes on this machine: the history, and each learner's own row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from sopslab.checks.board.steps import Row
from sopslab.lab.act import progress, rows
from sopslab.lab.observe.progress import recorded_progress
from sopslab.model.progress import Change

if TYPE_CHECKING:
    from sopslab.config.places import Places


class Records(Protocol):
    """Where the history and the rows are kept. Methods that write raise OSError."""

    def recorded(self) -> list[Change]:
        """Return the history so far."""

    def append(self, changes: Sequence[Change]) -> None:
        """Add changes to the history."""

    def publish(self, rows: Sequence[Row]) -> None:
        """Write each learner's own row where the learner's page reads it."""

    def withdraw(self) -> None:
        """Remove the rows."""


class LabRecords(Records):
    """Records in the lab's own folders."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._published: dict[str, Row] = {}

    @override
    def recorded(self) -> list[Change]:
        return recorded_progress(self._places)

    @override
    def append(self, changes: Sequence[Change]) -> None:
        progress.append(self._places, changes)

    @override
    def publish(self, rows_now: Sequence[Row]) -> None:
        known, self._published = self._published, {}
        now = {row.seat.id: row for row in rows_now}
        unchanged = {seat for seat, row in now.items() if known.get(seat) == row}
        rows.publish(self._places, rows_now, unchanged)
        self._published = now

    @override
    def withdraw(self) -> None:
        rows.withdraw(self._places)
