"""Durations and numbers of things, in words."""

from __future__ import annotations


def hours_and_minutes(seconds: float) -> str:
    """Return a duration in the form `3 min` or `2 h 5 min`. A negative one counts as zero."""
    hours, minutes = divmod(max(int(seconds), 0) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def counted(number: int, thing: str) -> str:
    """Return a number of things in the form `1 commit` or `2 commits`, for a thing whose plural is
    formed with an `s`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
