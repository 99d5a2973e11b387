"""Whether an existing cluster is fit for a class: the isolation of seats has to work there, and all
seats need room."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from sopslab.checks.clusters import (
    KEEP_OFF,
    by_reason,
    of_the_same,
    refused,
    room_left,
    unreached,
    unsaid,
)
from sopslab.files.events import named
from sopslab.model.clusters import (
    CLUSTER_DNS,
    NODE_DNS,
    Admission,
    ClusterTraits,
    NodeReach,
    Problem,
    Questions,
    Reach,
    SeatLimits,
    Share,
)
from sopslab.model.words import counted

_ANOTHER = "or choose another cluster"


def find_class_problems(traits: ClusterTraits, limits: SeatLimits) -> list[Problem]:
    """Return what else a cluster lacks for a class, as far as this can be seen without starting a
    pod in it; empty if the cluster was not asked."""
    if not traits.asked or traits.unseen:
        return []
    return [
        *_shared(traits),
        *_served(traits),
        *_dns(traits),
        *_room(traits, limits.pod),
    ]


def _shared(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.shared is None:
        yield from unsaid(traits, "whether it has another class")
    if traits.shared:
        yield Problem(
            "the cluster has these objects of another class, which this lab did not make:"
            f" {named(traits.shared)}; they are left alone",
            "choose another cluster, or have whoever runs that class take it down",
        )


def _served(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.policies is None:
        what = "whether it has ValidatingAdmissionPolicies"
        yield from unsaid(traits, what, "admission-policies")
    if traits.policies is False:
        yield Problem(
            "the cluster has no ValidatingAdmissionPolicies, which keep learners from what rights"
            " alone allow",
            f"serve admissionregistration.k8s.io/v1, {_ANOTHER}",
            "admission-policies",
        )


def _dns(traits: ClusterTraits) -> Iterator[Problem]:
    if traits.dns is None:
        yield from unsaid(traits, "what answers DNS", "dns")
        return
    if CLUSTER_DNS not in traits.dns:
        yield Problem(
            f"no pod in kube-system has the label k8s-app: {CLUSTER_DNS}, and a class lets its pods"
            " and Flux ask no other for names",
            "choose another cluster",
            "dns",
        )
    if NODE_DNS in traits.dns:
        yield Problem(
            f"a cache on each node answers DNS ({NODE_DNS}), and a class lets its pods and Flux ask"
            " the cluster's own alone",
            f"have the cluster work without it, {_ANOTHER}",
            "dns",
        )


def _room(traits: ClusterTraits, pod: Share) -> Iterator[Problem]:
    left, seats = room_left(traits), traits.new_seats
    # `find_problems` reports that there is no room for the lab's own pods, and that nodes or
    # namespaces were not seen.
    if not left or seats is None:
        return
    fitting = sum(
        # What is left may be negative, because pods can request more than the node has.
        max(0, min(node.pods, node.cpu_m // pod.cpu_m, node.memory_mib // pod.memory_mib))
        for node in left
    )
    if fitting < seats:
        yield Problem(
            f"beside all other pods, the nodes have room for {counted(fitting, 'small pod')}"
            f" ({pod.cpu_m} thousandths of a processor, {pod.memory_mib} MiB), and the class gets"
            f" {counted(seats, 'new seat')}",
            "remove something, or add a node",
            "room",
        )


def whole_quotas(traits: ClusterTraits, quota: Share) -> int | None:
    """Return how many more learners could use their whole quota at once, beside all that runs in
    the cluster; None if this cannot be seen."""
    left = room_left(traits)
    if not left:
        return None
    return min(
        sum(max(0, node.cpu_m) for node in left) // quota.cpu_m,
        sum(max(0, node.memory_mib) for node in left) // quota.memory_mib,
        sum(max(0, node.pods) for node in left) // quota.pods,
    )


def find_enforcement_problems(
    nodes: Mapping[str, NodeReach], admission: Admission | None
) -> list[Problem]:
    """Return what pods and dry runs did not prove to be enforced: one problem for each reason, with
    all nodes for which it holds.

    + nodes: the answers of the pods, by node
    + admission: the results of the dry runs, None if there were none
    """
    return [*_network(nodes), *(_admission(admission) if admission is not None else ())]


def _network(nodes: Mapping[str, NodeReach]) -> Iterator[Problem]:
    reasons = {name: reach.policies or "" for name, reach in nodes.items()}
    for why, where in by_reason(reasons):
        yield Problem(
            f"on {where}, network policies are not known to be enforced: {why}",
            f"have the cluster's network plugin enforce them, {KEEP_OFF}",
            "network-policies",
        )


def _admission(admission: Admission) -> Iterator[Problem]:
    if admission.pod_security:
        yield Problem(
            "Pod Security is not known to be enforced: in a namespace labelled `restricted`, a"
            f" privileged pod {admission.pod_security}",
            f"have the API server enforce it, {_ANOTHER}",
            "pod-security",
        )
    if admission.policies:
        yield Problem(
            "ValidatingAdmissionPolicies are not known to be enforced: an object that one forbids"
            f" {admission.policies}",
            f"have the API server enforce them, {_ANOTHER}",
            "admission-policies",
        )


def questions(
    nodes: Sequence[str],
    wanted: Reach,
    known: Reach | None,
    accept: Collection[str],
    seats: Collection[str],
) -> Questions:
    """Return what still has to be asked before a lab is made.

    + nodes: the nodes on which pods may run
    + wanted: what the answers have to be about: the cluster, the images and the address
    + known: the answers on record
    + accept: the names of what the lab does without
    + seats: the seats of a class, which needs more answers; empty for a lab without a class
    """
    before, accepted = of_the_same(known, wanted) or wanted, frozenset(accept)
    unknown = unreached(nodes, before, accepted)
    if not seats:
        return Questions(unknown)
    shut = {
        name
        for name, reach in before.nodes.items()
        if reach.policies is not None and not refused(_network({name: reach}), accepted)
    }
    admission = before.admission
    return Questions(
        unknown,
        policies=tuple(name for name in nodes if name not in shut),
        admission=admission is None or bool(refused(_admission(admission), accepted)),
    )
