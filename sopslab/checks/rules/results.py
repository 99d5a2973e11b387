"""What a rule yields: causes, each with evidence and a next step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What was looked at (`what`), and what was found there (`seen`), in our own words."""

    what: str
    seen: str


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong: an id that never changes its meaning, a sentence, the evidence for
    it, and the next step to take."""

    id: str
    sentence: str
    evidence: tuple[Evidence, ...]
    next_step: str

    @property
    def told(self) -> str:
        """The sentence and the evidence, in one line."""
        seen = "; ".join(f"{one.what}: {one.seen}" for one in self.evidence)
        return f"{self.sentence.removesuffix('.')} ({seen})."


def cause(id: str, sentence: str, what: str, seen: str, next_step: str) -> Cause:
    """Return a cause with one piece of evidence."""
    return Cause(id, sentence, (Evidence(what, seen),), next_step)
