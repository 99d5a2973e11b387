"""What the doctor says: causes, each with evidence and a next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What was looked at, and what was seen there, in our own words."""

    what: str
    seen: str


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong: an id that never changes its meaning, and a sentence."""

    id: str
    sentence: str
    evidence: tuple[Evidence, ...]
    next_step: str


def cause(id: str, sentence: str, what: str, seen: str, next_step: str) -> Cause:
    """Return a cause with one piece of evidence."""
    return Cause(id, sentence, (Evidence(what, seen),), next_step)


@dataclass(frozen=True)
class Diagnosis:
    """All causes, the first to be mended first; `undecided` says what could not be looked at."""

    causes: Sequence[Cause] = ()
    undecided: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """1 if anything is wrong, else 2 if that could not be decided, else 0."""
        if self.causes:
            return 1
        return 2 if self.undecided else 0
