"""What a learner has pushed, as a report on a class tells it: when, and nothing of its content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATEST = 253402300799.0
"""The last second of the year 9999: no calendar has a later one, though Git takes it."""


@dataclass(frozen=True)
class Commit:
    """A commit on main: its id, and the time that the learner's machine gave it, in seconds since
    1970 and at most `LATEST`."""

    id: str
    at: float


@dataclass(frozen=True)
class Work:
    """The commits of a learner's main that are not the lab's own, oldest first, and the answers to
    the quiz; None where the learner recorded none."""

    commits: Sequence[Commit] = ()
    answers: str | None = None
