"""The Git server in the cluster: its names, its settings and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServiceKind = Literal["ClusterIP", "LoadBalancer", "NodePort"]

NAME = "git"
"""The name of the Git server's objects, which have a namespace of their own; its pod is `git-0`."""
POD = f"{NAME}-0"
CLAIM = f"repositories-{POD}"
LABEL = "sops-lab-git"
"""The label of the Git server's namespace and objects; its value is the lab that made them. Objects
with the label `sops-lab` are removed with the lab, but this namespace stays."""


@dataclass(frozen=True)
class PodShape:
    """How the lab file wants the Git server in the cluster.

    `image` is a reference by digest. `port` is the port that learners connect to; for a Service of
    the kind NodePort, it is the port of the nodes. Without a storage class, the claim uses the
    default class of the cluster.
    """

    image: str
    service: ServiceKind
    port: int
    storage_class: str | None
    size: str


@dataclass(frozen=True)
class PodState:
    """The state of the Git server in the cluster.

    `foreign` is whether its namespace belongs to somebody else. `other_claim` describes its volume
    if the lab file wants another one. `laid_out` is whether the manifests on this machine are those
    that the server is to be made from.
    """

    foreign: bool = False
    other_claim: str = ""
    laid_out: bool = False


@dataclass(frozen=True)
class GitServerLeft:
    """Which parts of the lab's Git server a cluster has: its namespace, with the repositories, and
    the server itself."""

    namespace: bool = False
    server: bool = False
