"""Suspended objects of Flux."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.model.objects import Object

# The annotation in which a verb of sopslab leaves its name on what it suspends for a moment.
SUSPENDED_BY = "sops-lab/suspended-by"
# What it has there: a rotation, or what ends a build that does not end by itself.
ROTATE, BUILD = "rotate", "build"


def suspended_by(found: Object) -> str:
    """Return the verb of sopslab that has suspended an object, "" if none has."""
    return str((found["metadata"].get("annotations") or {}).get(SUSPENDED_BY) or "")


@dataclass(frozen=True)
class Suspended:
    """A suspended object of Flux. `by` is the verb of sopslab that suspended it, "" if none did."""

    kind: str
    namespace: str
    name: str
    by: str = ""

    @property
    def named(self) -> str:
        """The object's kind, namespace and name, for sentences."""
        return f"{self.kind} {self.namespace}/{self.name}"
