"""Tables for spreadsheets, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sopslab.config.tables import is_formula


def as_csv(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table as CSV: a line with the names of the columns, and then the other lines.

    Every cell is quoted, and no cell of the other lines begins like a formula: names come from a
    roster, where anything may be written.
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in line] for line in lines)
    return out.getvalue()


def moment(seconds: float) -> str:
    """Return a time in seconds since 1970 in the form of spreadsheets: in UTC, in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _harmless(cell: str) -> str:
    return f"'{cell}" if is_formula(cell) else cell
