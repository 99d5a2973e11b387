"""How long something took, in words."""

from __future__ import annotations


def hours_and_minutes(seconds: float) -> str:
    """Return a duration as `3 min`, or `2 h 5 min`; one below zero is none."""
    hours, minutes = divmod(max(int(seconds), 0) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
