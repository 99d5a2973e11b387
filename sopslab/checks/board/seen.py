"""What is seen of a seat: its environment, and what only a class has, such as calls for help."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.checks.snapshot import Snapshot


@dataclass(frozen=True)
class Seen:
    """One look at a seat.

    `start` is the first commit of the repository, None if it is not known. `asked` is when the
    learner asked for help, in seconds since 1970, None if the learner does not ask now. `hints` is
    how many hints were given.
    """

    snapshot: Snapshot
    start: str | None
    asked: float | None = None
    hints: int = 0
