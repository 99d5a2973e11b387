"""The phases of a rotation for each cause, in the one order that leaves no gap."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sopslab.model.incidents import Cause


class Phase(StrEnum):
    """A part of a rotation, by its name in the incident's record."""

    INVENTORY = "inventory"
    IDENTITY = "identity"
    OVERLAP = "overlap"
    FILES = "files"
    CONVERGED = "converged"
    RESTARTED = "restarted"
    RETIRED = "retired"
    LOGINS = "logins"
    PROVEN = "proven"


MEANING: Mapping[Phase, str] = {
    Phase.INVENTORY: "note which public key is replaced, and where main is",
    Phase.IDENTITY: "make the identity that follows; the old one stays until nothing needs it",
    Phase.OVERLAP: "have the cluster and the Git server accept both identities",
    Phase.FILES: "give each file the new recipient, a new data key and new values, in one commit",
    Phase.CONVERGED: "wait until Flux has applied that commit and the cluster has its values",
    Phase.RESTARTED: "restart what has read an old value at its start",
    Phase.RETIRED: "take the old identity from the cluster and the Git server, and archive it",
    Phase.LOGINS: "replace passwords, and give Flux a new one, too",
    Phase.PROVEN: "prove that what leaked opens nothing any more",
}

_KEY = (
    Phase.INVENTORY,
    Phase.IDENTITY,
    Phase.OVERLAP,
    Phase.FILES,
    Phase.CONVERGED,
    Phase.RESTARTED,
    Phase.RETIRED,
    Phase.PROVEN,
)

PHASES: Mapping[Cause, tuple[Phase, ...]] = {
    Cause.VALUE_EXPOSED: (
        Phase.INVENTORY,
        Phase.FILES,
        Phase.CONVERGED,
        Phase.RESTARTED,
        Phase.PROVEN,
    ),
    Cause.LEARNER_KEY: _KEY,
    Cause.CLUSTER_KEY: _KEY,
    Cause.INSTRUCTOR_KEY: _KEY,
    Cause.GIT_CREDENTIAL: (Phase.INVENTORY, Phase.LOGINS, Phase.PROVEN),
}


def replaces_keys(cause: Cause) -> bool:
    """Return whether a rotation for a cause replaces an identity."""
    return Phase.IDENTITY in PHASES[cause]


def touches_files(cause: Cause) -> bool:
    """Return whether a rotation for a cause changes files in repositories."""
    return Phase.FILES in PHASES[cause]
