"""What is known about the faults that learners practise on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """How far the exercise has got on a learner's main: whether the file of the Secret is there
    (`encrypted`), and whether it is listed.

    `problem` says why this could not be seen.
    """

    encrypted: bool = False
    listed: bool = False
    problem: str | None = None

    @property
    def done(self) -> bool:
        """Whether the exercise is done, so that there is something to break."""
        return self.encrypted and self.listed


@dataclass(frozen=True)
class Mistake:
    """A commit that injected a fault. `exposes` is whether the commit counts as a leak as long as a
    branch contains it, even if later commits repair it."""

    commit: str
    exposes: bool
