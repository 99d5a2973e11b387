"""Objects of Flux that were told to leave things alone."""

from __future__ import annotations

from dataclasses import dataclass

# What a verb of ours leaves on what it suspends for a moment: its own name.
SUSPENDED_BY = "sops-lab/suspended-by"


@dataclass(frozen=True)
class Suspended:
    """An object of Flux that is suspended; `by` is the verb of ours that did it, if one did."""

    kind: str
    namespace: str
    name: str
    by: str = ""

    @property
    def named(self) -> str:
        """What it is called."""
        return f"{self.kind} {self.namespace}/{self.name}"
