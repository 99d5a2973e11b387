"""What a learner has pushed, for a report on a class: when, and of the content only the answers to
the quiz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATEST = 253402300799.0
"""The last second of the year 9999. Git accepts later times, but Python's dates end there."""


@dataclass(frozen=True)
class Commit:
    """A commit on main: its id, and the time that the learner's machine has put into it, in seconds
    since 1970, at most `LATEST`."""

    id: str
    at: float


@dataclass(frozen=True)
class Work:
    """The commits on a learner's main that are not the lab's own, oldest first. `answers` are the
    learner's answers to the quiz as text, None if there are none."""

    commits: Sequence[Commit] = ()
    answers: str | None = None
