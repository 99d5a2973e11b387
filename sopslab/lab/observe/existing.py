"""A cluster that the lab did not make: which it is, what it gives, and what of it is the lab's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

from sopslab.checks.class_clusters import questions
from sopslab.checks.snapshot import Trouble
from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.config.places import Lab, Places
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl, listed
from sopslab.lab.tools.manifests import images_of
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, LAB_LABEL, NAMESPACE
from sopslab.model.clusters import (
    CLASS_RIGHTS,
    CLUSTER_DNS,
    NODE_DNS,
    RIGHTS,
    ClusterNode,
    ClusterTraits,
    Flux,
    Questions,
    Reach,
    Right,
)
from sopslab.model.objects import Object, condition, label
from sopslab.model.quantities import quantity
from sopslab.model.results import Undecided
from sopslab.model.wire import decoded

# How the names of Flux's kinds end.
TOOLKIT = ".toolkit.fluxcd.io"
_PATIENCE_S = 20.0
_TIMEOUT = ("--request-timeout", "10s")
_MIB = 1024 * 1024
_REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
_ENDED = ("Succeeded", "Failed")
_ADMISSION, _POLICIES = "admissionregistration.k8s.io/v1", "validatingadmissionpolicies"
# How the API server says that it has nothing at a path.
_NOT_FOUND = b"(NotFound)"
# The namespace that every cluster keeps for as long as it is there.
_OLDEST = "kube-system"
_APP = "k8s-app"


def context_of(lab: Lab, kubeconfig: str) -> bytes:
    """Return the lab's context of a user's file, as a kubeconfig of its own. Raises Failed."""
    return Kubectl(lab).run(
        "--kubeconfig", kubeconfig, "config", "view", "--minify", "--flatten", "--raw"
    )


def has_context(lab: Lab, kubeconfig: str) -> bool:
    """Return whether the lab's own kubeconfig equals its context in a user's file, as that is now,
    and the cluster is on record as the lab's.

    + kubeconfig: the user's file
    """
    own = read(lab.lab_kubeconfig)
    try:
        if not own or context_of(lab, kubeconfig) != own:
            return False
        return cluster_id(Kubectl(lab)) in recorded_clusters(lab)
    except (Failed, Undecided):
        return False


def is_taken_on(lab: Lab) -> bool:
    """Return whether the lab has a kubeconfig of its own, and with it a record of the cluster."""
    return has_content(lab.lab_kubeconfig)


def recorded_clusters(lab: Places) -> list[str]:
    """Return the ids of the clusters that are on record as taken on; none where it is damaged."""
    try:
        return [str(one) for one in json.loads(read(lab.clusters_file) or b"[]")]
    except (ValueError, TypeError):
        return []


def was_in(lab: Places, cluster: str) -> bool:
    """Return whether the lab has ever been in a cluster.

    + cluster: its id
    """
    return cluster in recorded_clusters(lab) or cluster == _reached(lab)


def _reached(lab: Places) -> str | None:
    """Return the id of the cluster in which pods were tried: labs that came up before clusters were
    recorded have that, in whatever form it had then."""
    try:
        record = json.loads(read(lab.reach_file) or b"{}")
    except ValueError:
        return None
    return str(record["cluster"]) if isinstance(record, dict) and "cluster" in record else None


def lab_namespaces(lab: Lab) -> list[str] | None:
    """Return the namespaces of the lab's cluster that this lab brought; None where it cannot be
    asked."""
    if not has_content(lab.lab_kubeconfig):
        return []
    try:
        found = Kubectl(lab).list("namespaces", selector=f"{LAB_LABEL}={lab.lab}", patience=20)
    except Undecided:
        return None
    return [one["metadata"]["name"] for one in found]


def cluster_traits(lab: Places, kubeconfig: str, seats: list[str]) -> ClusterTraits:
    """Return what the cluster of the lab's context gives, of what can be seen without a pod in it.

    + kubeconfig: the file with that context
    + seats: the ids of those of a class, which asks for more
    """
    if not Path(lab.bin_dir, "kubectl").exists():
        return ClusterTraits()
    kubectl = Kubectl(lab, kubeconfig=kubeconfig)
    try:
        kubectl.run("config", "view", "--minify")
    except Failed:
        return _unseen(
            f"there is no context {lab.lab_context} in {kubeconfig} (`kubectl config get-contexts`"
            " lists them)"
        )
    rights = (*RIGHTS, *CLASS_RIGHTS) if seats else RIGHTS
    with ThreadPoolExecutor(7) as executor:
        groups = executor.submit(_raw, kubectl, "/apis")
        denied = executor.submit(_denied, kubectl, rights)
        listed_namespaces = executor.submit(_listed, kubectl, "namespaces")
        nodes = executor.submit(_listed, kubectl, "nodes")
        policies = executor.submit(_serves, kubectl, _ADMISSION, _POLICIES) if seats else None
        dns = executor.submit(_dns, kubectl) if seats else None
        try:
            version = str(_raw(kubectl, "/version").get("gitVersion", ""))
            named = [str(group["name"]) for group in groups.result()["groups"]]
        except Failed as failure:
            return _unseen(_silent(lab, failure))
        namespaces = listed_namespaces.result()
        known = was_in(lab, _id_among(namespaces or ()))
        flux = _flux(namespaces, named, lab.lab, known=known)
        pods = None if flux is Flux.OURS else _listed(kubectl, "pods")
    # Of a lab that is there, Flux has made it.
    made = () if flux is Flux.OURS else (NAMESPACE,)
    return ClusterTraits(
        asked=True,
        version=version,
        flux=flux,
        occupied=_occupied(namespaces, {*made, *namespaces_of(seats)}, lab.lab if known else None),
        nodes=nodes_of(nodes.result(), [] if flux is Flux.OURS else pods),
        denied=denied.result(),
        policies=True if policies is None else policies.result(),
        dns=(CLUSTER_DNS,) if dns is None else dns.result(),
    )


def namespaces_of(seats: Iterable[str]) -> Iterator[str]:
    """Yield the namespaces that a class has for each of its seats."""
    for seat in seats:
        yield seat_namespace(seat)
        yield seat_system_namespace(seat)


def _silent(lab: Places, failure: Failed) -> str:
    if trouble_of(failure.words) is Trouble.DENIED:
        return f"the cluster of the context {lab.lab_context} refuses the credentials of its user"
    return f"the cluster of the context {lab.lab_context} does not answer within 10 s"


def _unseen(why: str) -> ClusterTraits:
    return ClusterTraits(asked=True, unseen=why)


def _raw(kubectl: Kubectl, path: str) -> Object:
    """Return what the API server has at a path. Raises Failed."""
    found: Object = json.loads(kubectl.run("get", "--raw", path, *_TIMEOUT, patience=_PATIENCE_S))
    return found


def _listed(kubectl: Kubectl, kind: str) -> list[Object] | None:
    try:
        return kubectl.list(kind, patience=60)
    except Undecided:
        return None


def _serves(kubectl: Kubectl, version: str, resource: str) -> bool | None:
    """Return whether the API server has a resource; None if it does not say what it has."""
    try:
        found = _raw(kubectl, f"/apis/{version}")["resources"]
    except Failed as failure:
        return False if _NOT_FOUND in failure.words else None
    return any(one["name"] == resource for one in found)


def _dns(kubectl: Kubectl) -> tuple[str, ...] | None:
    """Return which kinds of pods answer DNS; None if they are not shown."""
    kinds = f"{_APP} in ({CLUSTER_DNS},{NODE_DNS})"
    try:
        pods = kubectl.list("pods", namespace=_OLDEST, selector=kinds, patience=_PATIENCE_S)
    except Undecided:
        return None
    return tuple(sorted({pod["metadata"]["labels"][_APP] for pod in pods}))


def _id_among(namespaces: Iterable[Object]) -> str:
    """Return the cluster's id by its namespaces, nothing where they do not say it."""
    found = (one["metadata"] for one in namespaces)
    return next((str(one["uid"]) for one in found if one["name"] == _OLDEST), "")


def _flux(
    namespaces: Sequence[Object] | None, groups: Sequence[str], lab: str, *, known: bool
) -> Flux | None:
    """Return whose Flux there is, None if that was not seen: one in another namespace is known by
    the kinds that it serves.

    + known: whether the lab has been in this cluster; if not, its name is there by chance
    """
    if namespaces is None:
        return None
    for namespace in namespaces:
        if namespace["metadata"]["name"] == FLUX_NAMESPACE:
            if label(namespace, LAB_LABEL) != lab:
                return Flux.FOREIGN
            return Flux.OURS if known else Flux.NAMESAKE
    return Flux.FOREIGN if any(group.endswith(TOOLKIT) for group in groups) else Flux.ABSENT


def _occupied(
    namespaces: Sequence[Object] | None, wanted: Set[str], lab: str | None
) -> tuple[str, ...] | None:
    """Return which of the namespaces that are wanted are there and another's, None if that was not
    seen.

    + lab: whose label makes one the lab's; None where none is
    """
    if namespaces is None:
        return None
    others = [
        one["metadata"]["name"] for one in namespaces if lab is None or label(one, LAB_LABEL) != lab
    ]
    return tuple(name for name in others if name in wanted)


def _denied(kubectl: Kubectl, rights: Sequence[Right]) -> tuple[Right, ...] | None:
    """Return which of the rights that are needed the user has not; None if that is not told."""
    reviews = [{**_REVIEW, "spec": {"resourceAttributes": _attributes(one)}} for one in rights]
    answer = ("--output", 'jsonpath={.status.allowed}{"\\n"}')
    try:
        said = kubectl.run(
            "create", "--validate=false", "--filename", "-", *answer, *_TIMEOUT,
            stdin=listed(reviews), patience=_PATIENCE_S,
        )  # fmt: skip
    except Failed:
        return None
    answers = said.decode().split()
    if len(answers) != len(rights):
        return None
    return tuple(one for one, allowed in zip(rights, answers, strict=True) if allowed != "true")


def _attributes(right: Right) -> Object:
    return {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "namespace": right.namespace,
    }


def nodes_of(
    nodes: Sequence[Object] | None, pods: Sequence[Object] | None
) -> tuple[ClusterNode, ...] | None:
    """Return the nodes with what pods leave of them; None where either was not seen."""
    if nodes is None or pods is None:
        return None
    taken: dict[str, list[Object]] = {}
    for pod in pods:
        if pod["status"].get("phase") not in _ENDED:
            taken.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return tuple(_node(node, taken.get(node["metadata"]["name"], [])) for node in nodes)


def _node(node: Object, pods: Sequence[Object]) -> ClusterNode:
    # A node that has only just joined, or that stands for another service, may not say yet.
    info, free = node["status"]["nodeInfo"], node["status"].get("allocatable") or {}
    ready = condition(node, "Ready").get("status") == "True"
    return ClusterNode(
        name=node["metadata"]["name"],
        architecture=info["architecture"],
        usable=ready and info["operatingSystem"] == "linux" and not _is_kept_off(node),
        cpu_m=int((_free(free, "cpu") - _requested(pods, "cpu")) * 1000),
        memory_mib=int((_free(free, "memory") - _requested(pods, "memory")) / _MIB),
        pods=int(_free(free, "pods")) - len(pods),
    )


def _free(allocatable: Object, resource: str) -> Decimal:
    return quantity(str(allocatable.get(resource, "0")))


def _is_kept_off(node: Object) -> bool:
    """Whether a pod without tolerations is not put on a node."""
    taints = node["spec"].get("taints") or []
    return bool(node["spec"].get("unschedulable")) or any(
        taint["effect"] in ("NoSchedule", "NoExecute") for taint in taints
    )


def _requested(pods: Sequence[Object], resource: str) -> Decimal:
    return sum((quantity(one) for one in _requests(pods, resource)), Decimal(0))


def _requests(pods: Sequence[Object], resource: str) -> Iterator[str]:
    for pod in pods:
        for container in pod["spec"]["containers"]:
            requests = (container.get("resources") or {}).get("requests") or {}
            if resource in requests:
                yield str(requests[resource])


def reach_of(lab: Places) -> Reach | None:
    """Return what is on record of what pods on each node have reached."""
    return decoded(Reach, read(lab.reach_file))


def wanted_reach(lab: Places) -> Reach:
    """Return what has to be known of the nodes, without any. Raises Undecided where the cluster
    does not say which it is."""
    images = images_of(read(f"{lab.manifests_dir}/components.yaml") or b"")
    return Reach(cluster_id(Kubectl(lab)), tuple(images), lab.git_base_cluster_url, {})


def cluster_id(kubectl: Kubectl) -> str:
    """Return what a cluster is known by. Raises Undecided where it does not say."""
    oldest = kubectl.get("namespace", _OLDEST, patience=_PATIENCE_S)
    if oldest is None:
        raise Undecided(f"the cluster has no namespace {_OLDEST}, so it cannot be recognised")
    return str(oldest["metadata"]["uid"])


def usable_nodes(lab: Places) -> list[str]:
    """Return the nodes that a pod without tolerations may be put on. Raises Undecided."""
    nodes = nodes_of(Kubectl(lab).list("nodes", patience=60), []) or ()
    return [node.name for node in nodes if node.usable]


def open_questions(lab: Lab, accept: list[str], seats: list[str]) -> Questions | None:
    """Return what is still to be asked of the cluster by pods and dry runs; None where it cannot be
    asked yet.

    + accept: what the lab does without, by name
    + seats: the ids of those of a class, which asks for more
    """
    if not has_content(lab.lab_kubeconfig):
        return None
    try:
        return questions(usable_nodes(lab), wanted_reach(lab), reach_of(lab), accept, seats)
    except Undecided:
        return None
