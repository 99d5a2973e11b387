"""What Flux builds right now: there is one lock that all builds of a cluster share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# What Flux says while a build waits for its turn, or has it: there is one at a time for everybody.
_BUILDING = re.compile(r"Building manifests for revision \S+@sha1:([0-9a-f]{40,64}) ")
HELD_S = 10
"""A build that takes longer is not an ordinary one, and those that wait for it are told so."""


@dataclass(frozen=True)
class Building:
    """A Kustomization whose build has not ended, and the GitRepository that it is built from.

    `commit` is what is built, `since` when that began, as Kubernetes writes a time.
    """

    namespace: str
    name: str
    source: str
    commit: str
    since: str


@dataclass(frozen=True)
class Build:
    """A build that has not ended: of which commit, and since when."""

    commit: str
    since: datetime

    def age(self, now: datetime) -> float:
        """Return how many seconds ago it began."""
        return (now - self.since).total_seconds()


def build_of(told: Mapping[str, Any]) -> Build | None:
    """Return the build that a condition `Reconciling` tells of, None if none is under way.

    A build that failed leaves its message there, with the reason `ProgressingWithRetry`.
    """
    found = _BUILDING.match(str(told.get("message", "")))
    if found is None or told.get("reason") != "Progressing":
        return None
    since = str(told["lastTransitionTime"])
    begun = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Build(found[1], begun)
