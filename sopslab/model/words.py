"""Durations and numbers of things, in words."""

from __future__ import annotations


def hours_and_minutes(seconds: float) -> str:
    """Return a duration as `3 min`, or `2 h 5 min`; one below zero is none."""
    hours, minutes = divmod(max(int(seconds), 0) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def counted(number: int, thing: str) -> str:
    """Return how many there are of something that gets an `s` in the plural: `1 commit`, or
    `2 commits`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
