"""What is seen of a seat: its environment, and what only a class has."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.checks.snapshot import Snapshot


@dataclass(frozen=True)
class Seen:
    """One look at a seat.

    `kubeconfig` and `password` say whether the lab has made them; `start` is the first commit of
    the repository, None if it is not known; `holder` is the seat whose build holds up all others,
    empty if none does. `asked` is since when the learner asks for help, in seconds since 1970, None
    if not; `hints` is how many were given.
    """

    snapshot: Snapshot
    kubeconfig: bool
    password: bool
    start: str | None
    holder: str = ""
    asked: float | None = None
    hints: int = 0
