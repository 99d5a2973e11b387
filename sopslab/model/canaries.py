"""How far a canary is on its way from a repository into the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Progress(StrEnum):
    """Whether a canary has arrived, is on its way, or is stuck."""

    PROVEN = "proven"
    WAITING = "waiting"
    FAILING = "failing"


class Link(StrEnum):
    """The first link of the way that is missing, in their order."""

    # Flux has applied nothing so far.
    BEGINNING = "beginning"
    # It has not applied the last commit of main.
    COMMIT = "commit"
    # No key of the store opens what main holds.
    KEY = "key"
    # What is in the cluster has another value.
    VALUE = "value"


@dataclass(frozen=True)
class CanaryState:
    """How far a canary is; `said` is what is in its way, in words of ours."""

    progress: Progress
    said: str = ""
    link: Link | None = None


PROVEN = CanaryState(Progress.PROVEN)
