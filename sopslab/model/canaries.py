"""How far a canary has come on its way from a repository into the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Progress(StrEnum):
    """Whether a canary has arrived, is on its way, or is stuck."""

    PROVEN = "proven"
    WAITING = "waiting"
    FAILING = "failing"


class Link(StrEnum):
    """The first link that is missing on a canary's way; the members are in the order of the way."""

    # Flux has applied nothing so far.
    BEGINNING = "beginning"
    # Flux has not applied the last commit of main.
    COMMIT = "commit"
    # The environment's key does not decrypt the canary on main.
    KEY = "key"
    # The canary in the cluster is missing, or has another value.
    VALUE = "value"


@dataclass(frozen=True)
class CanaryState:
    """How far a canary has come; `said` describes what is in its way."""

    progress: Progress
    said: str = ""
    link: Link | None = None


PROVEN = CanaryState(Progress.PROVEN)
