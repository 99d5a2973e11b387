"""An existing cluster, which the lab did not make: what it offers, and what a lab needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from sopslab.model.rights import Right

# What a lab can do without, if its lab file accepts that by these names. Rights and Flux have no
# name here: without the rights no lab can be made, and another Flux would lose its kinds to ours.
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
"""The label `k8s-app` of pods in kube-system that answer DNS. The first is the cluster's DNS, which
the network policies of a class allow. The second are caches on the nodes, which get queries first
where there are any."""


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
"""The objects that a class has once in a cluster, outside namespaces, as kubectl names them."""


class Flux(StrEnum):
    """Whose Flux a cluster has."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"
    # Flux of another lab of the same name.
    NAMESAKE = "namesake"
    # Kinds of Flux without the namespace `flux-system`, without controllers in another one, and
    # without the labels of a lab of this name: they are left of some Flux.
    KINDS = "kinds"


@dataclass(frozen=True)
class ClusterNode:
    """A node: its architecture, whether it accepts pods without tolerations (`usable`), and what is
    free on it: thousandths of a processor, MiB of memory, and a number of pods."""

    name: str
    architecture: str
    usable: bool
    cpu_m: int
    memory_mib: int
    pods: int


@dataclass(frozen=True)
class Volume:
    """A volume that the lab's claim may get, or has: its storage class, "" without one, and its
    size in bytes."""

    storage_class: str
    size: int


@dataclass(frozen=True)
class Storage:
    """The storage of a cluster for claims: the names of its storage classes, whether one of them is
    the default, and the existing volumes."""

    classes: tuple[str, ...] = ()
    default: bool = False
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class ClusterTraits:
    """What a cluster offers.

    `asked` is False as long as the lab has no kubectl. `unseen` says in a sentence why the cluster
    could not be asked. `flux`, `occupied`, `nodes`, `denied`, `policies`, `dns`, `shared` and
    `storage` are each None if only this part could not be seen.

    `occupied` are the namespaces that the lab would make, but that belong to somebody else.
    `denied` are the rights that the user lacks.

    The lab needs room on `nodes` for its Flux, unless that is there, for its Git server if it
    `lacks_git`, and for the number of `new_seats` of its class, which is None if it could not be
    seen. If it needs no room, what pods use counts as free.

    Only a class asks for three of them: `policies` is whether ValidatingAdmissionPolicies are
    served, `dns` which kinds of pods answer DNS, and `shared` the objects outside namespaces that
    the class would make, but that belong to somebody else, as `Kind name`. Only a lab with its Git
    server in the cluster asks for `storage`.
    """

    asked: bool = False
    unseen: str = ""
    version: str = ""
    flux: Flux | None = Flux.ABSENT
    occupied: tuple[str, ...] | None = ()
    nodes: tuple[ClusterNode, ...] | None = None
    lacks_git: bool = False
    new_seats: int | None = 0
    denied: tuple[Right, ...] | None = None
    policies: bool | None = True
    dns: tuple[str, ...] | None = (CLUSTER_DNS,)
    shared: tuple[str, ...] | None = ()
    storage: Storage | None = None


@dataclass(frozen=True)
class Share:
    """What several pods may request together: thousandths of a processor, MiB of memory, and their
    number."""

    cpu_m: int
    memory_mib: int
    pods: int


@dataclass(frozen=True)
class SeatLimits:
    """What a seat may use in total, and what a pod of the seat requests by default."""

    quota: Share
    pod: Share


@dataclass(frozen=True)
class NodeReach:
    """What pods have found out about a node, as reasons; "" means that all is well.

    `images` says why the node could not pull images, `git` why pods did not reach the Git server,
    and `policies` why network policies are not known to be enforced there. `policies` is None if
    this was not tried.
    """

    images: str = ""
    git: str = ""
    policies: str | None = None


@dataclass(frozen=True)
class Admission:
    """Why it is not known that the cluster refuses what a class forbids. One reason is about Pod
    Security, the other about ValidatingAdmissionPolicies; "" means that it does refuse."""

    pod_security: str = ""
    policies: str = ""


@dataclass(frozen=True)
class Reach:
    """The answers of pods on each node, and of dry runs on the API server.

    They are about one `cluster`, by its id, about `images`, and about the address of the Git server
    (`git`). `admission` is None if no dry run was made.
    """

    cluster: str
    images: tuple[str, ...]
    git: str
    nodes: Mapping[str, NodeReach]
    admission: Admission | None = None


@dataclass(frozen=True)
class Questions:
    """What still has to be tried in a cluster.

    `reach` are the nodes on which pods have to try images and the Git server. `policies` are the
    nodes on which pods have to try whether network policies are enforced. `admission` is whether
    dry runs have to try what the API server refuses.
    """

    reach: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    admission: bool = False


@dataclass(frozen=True)
class Problem:
    """Something in a cluster that a lab cannot work with, and what to do about it. `probe` is the
    name by which the lab file can accept it, None if it cannot."""

    found: str
    next_step: str
    probe: Acceptable | None = None


@dataclass(frozen=True)
class FormerCluster:
    """A cluster in which the lab was before, by the address of its API server. `refuses` is whether
    it answers without saying what it still has of the lab."""

    address: str
    refuses: bool = False


@dataclass(frozen=True)
class ApiServers:
    """Where a cluster's API servers listen."""

    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
