"""The state of the lab's kind cluster, and the limits that its node sets for pods."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    """Who owns a cluster of the lab's name. It is foreign if one of its nodes is not on this lab's
    network: the lab makes the network before any node."""

    NOBODY = "nobody"
    LAB = "lab"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class ClusterState:
    """The state of the lab's cluster.

    `complete` is whether `kind create` has finished for this very node. `status` is Docker's word
    for the state of the node's container. `stray` says what is wrong with the lab's kubeconfig, ""
    if it leads to the node. `address` is where the API server of the node is published, `image` the
    image of the node.
    """

    owner: Owner = Owner.NOBODY
    status: str = ""
    complete: bool = False
    stray: str = ""
    address: str = ""
    image: str = ""


@dataclass(frozen=True)
class Limits:
    """The limits that a node sets.

    Each pod may have `pids` processes, 0 for any number. The services that start and end pods get
    a `share` of all processors together, in percent, 0 for no limit (CPUQuota in
    systemd.resource-control(5)).
    """

    pids: int
    share: int
