"""A cluster that the lab did not make: what it gives, and what a lab asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from sopslab.model.rights import Right

# What a lab may do without, if its lab file says so by these names. Without the rights it cannot be
# made at all, and another Flux would lose its kinds to this one.
Acceptable = Literal[
    "admission-policies",
    "architecture",
    "dns",
    "git",
    "images",
    "network-policies",
    "pod-security",
    "room",
    "version",
]
ACCEPTABLE: tuple[Acceptable, ...] = get_args(Acceptable)


CLUSTER_DNS, NODE_DNS = "kube-dns", "node-local-dns"
"""The label `k8s-app` of pods in kube-system that answer DNS: the cluster's, which the network
policies of a class let pods ask, and caches on the nodes, which take the questions before."""


_POLICIES = (
    *("finalizers", "kustomizations", "namespaces", "pods", "secrets", "services", "sizes"),
    *("sources", "templates"),
)
CLASS_ROLES = ("clusterroles/sops-lab-learner", "clusterroles/sops-lab-reconciler")
CLASS_POLICIES = tuple(
    f"{kind}/sops-lab-{name}"
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    for name in _POLICIES
)
"""What a class has once in a cluster and in no namespace, as kubectl names it."""


class Flux(StrEnum):
    """Whose Flux a cluster has."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"
    # It carries the lab's name, and is not this lab's.
    NAMESAKE = "namesake"


@dataclass(frozen=True)
class ClusterNode:
    """A node: its architecture, whether a pod without tolerations may be put there, and what is
    left of it: thousandths of a processor, MiB of memory, pods."""

    name: str
    architecture: str
    usable: bool
    cpu_m: int
    memory_mib: int
    pods: int


@dataclass(frozen=True)
class Volume:
    """A volume that a claim of the lab's may get, or has: its class, "" without one, and its size
    in bytes."""

    storage_class: str
    size: int


@dataclass(frozen=True)
class Storage:
    """What a cluster has for claims: its storage classes, whether one of them is the default, and
    volumes that are there already."""

    classes: tuple[str, ...] = ()
    default: bool = False
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class ClusterTraits:
    """What a cluster gives.

    It was not `asked` while the lab has no kubectl. `unseen` is why it could not be, in a sentence;
    `flux`, `occupied`, `nodes`, `denied`, `policies`, `dns`, `shared` and `storage` are None where
    they alone could not be seen. `occupied` are the namespaces that the lab would make and that are
    somebody else's. Only a class asks about `policies`, whether ValidatingAdmissionPolicies are
    served, `dns`, which kinds of pods answer DNS, and `shared`, what it would make in no namespace
    and is somebody else's, as `Kind name`; only a lab with its Git server in the cluster asks about
    `storage`. Where the lab's Flux is there, `nodes` do not know what pods take of them.
    """

    asked: bool = False
    unseen: str = ""
    version: str = ""
    flux: Flux | None = Flux.ABSENT
    occupied: tuple[str, ...] | None = ()
    nodes: tuple[ClusterNode, ...] | None = None
    denied: tuple[Right, ...] | None = None
    policies: bool | None = True
    dns: tuple[str, ...] | None = (CLUSTER_DNS,)
    shared: tuple[str, ...] | None = ()
    storage: Storage | None = None


@dataclass(frozen=True)
class Share:
    """What some pods may request together: thousandths of a processor, MiB of memory, pods."""

    cpu_m: int
    memory_mib: int
    pods: int


@dataclass(frozen=True)
class SeatLimits:
    """What a seat may use up, and what a pod of it requests that says nothing about it."""

    quota: Share
    pod: Share


@dataclass(frozen=True)
class NodeReach:
    """What pods on a node have had: why it got no images, why they did not reach the Git server,
    and why network policies are not known to be enforced there; empty where all was well, and None
    for policies that nobody asked about."""

    images: str = ""
    git: str = ""
    policies: str | None = None


@dataclass(frozen=True)
class Admission:
    """Why what a class forbids is not known to be refused: by Pod Security, and by a
    ValidatingAdmissionPolicy; empty where it is."""

    pod_security: str = ""
    policies: str = ""


@dataclass(frozen=True)
class Reach:
    """What was asked of pods on each node, and of the API server by dry runs: of which cluster,
    with which images, for which address. `admission` is None where nobody asked."""

    cluster: str
    images: tuple[str, ...]
    git: str
    nodes: Mapping[str, NodeReach]
    admission: Admission | None = None


@dataclass(frozen=True)
class Questions:
    """What is still to be asked of a cluster: on which nodes whether pods have images and reach the
    Git server, on which ones whether policies shut pods, and whether dry runs are refused."""

    reach: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    admission: bool = False


@dataclass(frozen=True)
class Problem:
    """What was found that a lab cannot work with, what to do about it, and the name by which a lab
    goes on anyway, if it can."""

    found: str
    next_step: str
    probe: Acceptable | None = None


@dataclass(frozen=True)
class ApiServers:
    """Where a cluster's API servers listen."""

    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
