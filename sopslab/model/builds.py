"""What Flux builds right now: there is one lock that all builds of a cluster share."""

from __future__ import annotations

from dataclasses import dataclass


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
