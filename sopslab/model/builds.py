"""What Flux is building right now. All builds of a cluster share one lock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# What Flux reports while a build waits for its turn, or has it. Only one build runs at a time.
_BUILDING = re.compile(r"Building manifests for revision \S+@sha1:([0-9a-f]{40,64}) ")
HELD_S = 10
"""The longest time of an ordinary build, in seconds. If a build takes longer, learners whose builds
wait for it are told so."""


@dataclass(frozen=True)
class Building:
    """A Kustomization whose build has not ended, and the GitRepository that it is built from.

    `commit` is what is built, `since` is when the build began, as Kubernetes writes a time.
    """

    namespace: str
    name: str
    source: str
    commit: str
    since: str


@dataclass(frozen=True)
class Build:
    """A build that has not ended: its commit, and when it began."""

    commit: str
    since: datetime

    def age(self, now: datetime) -> float:
        """Return how many seconds ago the build began."""
        return (now - self.since).total_seconds()


def build_of(told: Mapping[str, Any]) -> Build | None:
    """Return the build that a condition `Reconciling` reports, None if no build is under way.

    A failed build leaves its message in the condition, but with the reason `ProgressingWithRetry`.
    """
    found = _BUILDING.match(str(told.get("message", "")))
    if found is None or told.get("reason") != "Progressing":
        return None
    since = str(told["lastTransitionTime"])
    begun = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return Build(found[1], begun)
