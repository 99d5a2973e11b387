"""What is seen of one seat: the environment, and what only a class has."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.checks.snapshot import Snapshot


@dataclass(frozen=True)
class Seen:
    """One look at a seat.

    `kubeconfig` and `password` tell whether the lab has made them; `start` is the commit that the
    repository began with, None where that is not known; `holder` is the seat whose build all others
    wait for, empty if no build takes too long. `asked` is since when the learner asks for help, in
    seconds since 1970, None if not; `hints` is how many were given.
    """

    snapshot: Snapshot
    kubeconfig: bool
    password: bool
    start: str | None
    holder: str = ""
    asked: float | None = None
    hints: int = 0
