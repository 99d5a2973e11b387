"""The Git server in the cluster: what it is made as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServiceKind = Literal["ClusterIP", "LoadBalancer", "NodePort"]

NAME = "git"
"""What its objects are called, in a namespace of their own; its pod is `git-0`."""
POD = f"{NAME}-0"
CLAIM = f"repositories-{POD}"
LABEL = "sops-lab-git"
"""On its namespace and its objects: the lab that made them. The namespace stays when the lab goes,
unlike what has the label `sops-lab`."""


@dataclass(frozen=True)
class PodShape:
    """How the lab file wants the Git server in the cluster.

    `image` is its reference by digest; `port` is the one that learners connect to, which is the
    node's for the Service of that kind; without a storage class the claim is for the cluster's
    default one.
    """

    image: str
    service: ServiceKind
    port: int
    storage_class: str | None
    size: str


@dataclass(frozen=True)
class PodState:
    """How the Git server in the cluster stands: whether its namespace is another's, which volume it
    has if the lab file wants another one, and whether the manifests on this machine are what it is
    to be made of."""

    foreign: bool = False
    other_claim: str = ""
    laid_out: bool = False


@dataclass(frozen=True)
class GitServerLeft:
    """What a cluster has of the lab's Git server: its namespace, with the repositories, and the
    server itself."""

    namespace: bool = False
    server: bool = False
