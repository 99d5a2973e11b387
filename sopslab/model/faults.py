"""What is known of the faults that learners practise on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """How far a learner's main is: whether the Secret of the exercise is there, and listed.

    `problem` says why that could not be seen.
    """

    encrypted: bool = False
    listed: bool = False
    problem: str | None = None

    @property
    def done(self) -> bool:
        """Whether there is something to break."""
        return self.encrypted and self.listed


@dataclass(frozen=True)
class Mistake:
    """A commit that brought a fault; `exposes` is whether it counts as a leak for as long as a
    branch has it, whatever is repaired on top."""

    commit: str
    exposes: bool
