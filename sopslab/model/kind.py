"""How the lab's kind cluster stands, and what its node lets pods have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Whose a cluster is. It is foreign if a node is not on this lab's network, which exists before
    any node of ours."""

    NOBODY = "nobody"
    LAB = "lab"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class ClusterState:
    """How the lab's cluster stands.

    `complete` tells whether `kind create` finished and left its mark for this very node. `status`
    is Docker's word for the node container. `stray` says what is wrong with the lab's kubeconfig,
    empty if it leads to the node. `address` is where the node's API server is published, and
    `image` what the node was made of.
    """

    owner: Owner = Owner.NOBODY
    status: str = ""
    complete: bool = False
    stray: str = ""
    address: str = ""
    image: str = ""


@dataclass(frozen=True)
class Limits:
    """What a node lets pods have: `pids` processes each, 0 for any number; what starts and ends
    them has a `share` of all processors, in percent (systemd.resource-control(5), CPUQuota), 0 for
    no limit.
    """

    pids: int
    share: int
