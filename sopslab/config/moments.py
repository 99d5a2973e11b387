"""Moments that people write: a date, a time, and a time zone."""

from __future__ import annotations

import re
from datetime import datetime

MOMENT = re.compile(
    r"2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
MOMENT_FORM = "a date, a time and a zone, such as 2026-12-01T18:00+01:00"


def check_moment(value: str) -> str:
    """Return `value` if it is a moment; raise ValueError if not. It needs a zone: a time without
    one could mean any of two dozen moments."""
    if not MOMENT.fullmatch(value):
        raise ValueError(f"{MOMENT_FORM} is needed")
    moment(value)
    return value


def moment(value: str) -> datetime:
    """Return the moment that a text names. Raises ValueError for a date that no calendar has."""
    return datetime.fromisoformat(value)


def in_words(found: datetime) -> str:
    """Return a moment as people read it, in its own zone: `2026-12-01 18:00+01:00`."""
    return found.isoformat(" ", "minutes")
