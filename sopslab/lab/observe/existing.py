"""An existing cluster, which the lab did not make: its identity, what it offers, and which of its
objects are the lab's."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import yaml

from sopslab.checks.class_clusters import questions
from sopslab.checks.ownership import Owner
from sopslab.config.naming import (
    git_namespace,
    probe_namespace,
    seat_namespace,
    seat_system_namespace,
)
from sopslab.config.places import Lab, Places
from sopslab.lab.observe.manifests import OF_FLUX
from sopslab.lab.observe.ownership import OLDEST, cluster_id, lab_id, owner_in
from sopslab.lab.observe.rights import denied_rights
from sopslab.lab.observe.storage import storage_of
from sopslab.lab.tools import flux as flux_command
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.manifests import images_of
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, LAB_LABEL, NAMESPACE
from sopslab.model.clusters import (
    CLASS_POLICIES,
    CLASS_ROLES,
    CLUSTER_DNS,
    NODE_DNS,
    ClusterNode,
    ClusterTraits,
    Flux,
    Questions,
    Reach,
)
from sopslab.model.git_pod import LABEL as GIT_LABEL
from sopslab.model.git_pod import POD as GIT_POD
from sopslab.model.objects import Object, is_ready, label
from sopslab.model.quantities import quantity
from sopslab.model.results import Undecided
from sopslab.model.rights import CLASS_RIGHTS, GIT_RIGHTS, RIGHTS
from sopslab.model.trouble import Trouble
from sopslab.model.wire import decoded
from sopslab.model.yaml_loader import LOADER

DEFINITIONS = "customresourcedefinitions"
# How the names of Flux's kinds end.
TOOLKIT = ".toolkit.fluxcd.io"
_PATIENCE_S = 20.0
_TIMEOUT = ("--request-timeout", "10s")
_MIB = 1024 * 1024
_ADMISSION, _POLICIES = "admissionregistration.k8s.io/v1", "validatingadmissionpolicies"
# What kubectl prints if the API server has nothing at a path.
_NOT_FOUND = b"(NotFound)"
_APP = "k8s-app"
_NAMES = "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}"


def context_of(lab: Lab, kubeconfig: str) -> bytes:
    """Return the lab's context from a user's kubeconfig, as a kubeconfig with nothing else. Raises
    Failed."""
    return Kubectl(lab).run(
        "--kubeconfig", kubeconfig, "config", "view", "--minify", "--flatten", "--raw"
    )


def has_context(lab: Lab, kubeconfig: str) -> bool:
    """Return whether the lab has an id, and its own kubeconfig still equals the lab's context in
    the user's file. Raises LabError if the id is damaged.

    + kubeconfig: the user's file
    """
    own = read(lab.lab_kubeconfig)
    try:
        return bool(own) and context_of(lab, kubeconfig) == own and lab_id(lab) is not None
    except Failed:
        return False


def has_other_login(lab: Lab, kubeconfig: str) -> bool:
    """Return whether the lab's context in the user's file differs from the lab's own kubeconfig,
    for example in its login, although both lead to the same address.

    + kubeconfig: the user's file
    """
    own = read(lab.lab_kubeconfig)
    try:
        given = context_of(lab, kubeconfig) if own else None
    except Failed:
        return False
    return given is not None and given != own and address_in(given) == address_in(own)


def address_in(kubeconfig: bytes | None) -> str | None:
    """Return the address of the API server in a kubeconfig with one context, None if it names
    none."""
    try:
        return str(yaml.load(kubeconfig or b"", LOADER)["clusters"][0]["cluster"]["server"])
    except (yaml.YAMLError, LookupError, TypeError):
        return None


def is_taken_on(lab: Lab) -> bool:
    """Return whether the lab has taken on a cluster: it then has a kubeconfig of its own for it."""
    return has_content(lab.lab_kubeconfig)


def lab_namespaces(lab: Lab) -> list[str] | None:
    """Return the namespaces that this lab brought into its cluster; None if the cluster cannot be
    asked."""
    if not has_content(lab.lab_kubeconfig):
        return []
    try:
        found = Kubectl(lab).list("namespaces", patience=20)
    except Undecided:
        return None
    owner = owner_in(lab, _id_among(found))
    return [one["metadata"]["name"] for one in found if owner.has(one)]


def cluster_traits(lab: Places, kubeconfig: str, seats: list[str]) -> ClusterTraits:
    """Return the traits of the cluster of the lab's context that can be seen without running a pod
    in it.

    + kubeconfig: the file with that context
    + seats: the ids of the seats of a class, which needs more of a cluster; empty without a class
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
    rights = [*RIGHTS, *(CLASS_RIGHTS if seats else ()), *(GIT_RIGHTS if lab.git_pod else ())]
    with ThreadPoolExecutor(8) as executor:
        groups = executor.submit(_raw, kubectl, "/apis")
        denied = executor.submit(denied_rights, kubectl, rights)
        listed_namespaces = executor.submit(_listed, kubectl, "namespaces")
        nodes = executor.submit(_listed, kubectl, "nodes")
        policies = executor.submit(_serves, kubectl, _ADMISSION, _POLICIES) if seats else None
        dns = executor.submit(_dns, kubectl) if seats else None
        storage = executor.submit(storage_of, lab, kubectl) if lab.git_pod else None
        try:
            version = str(_raw(kubectl, "/version").get("gitVersion", ""))
            named = [str(group["name"]) for group in groups.result()["groups"]]
        except Failed as failure:
            return _unseen(_silent(lab, failure))
        namespaces = listed_namespaces.result()
        owner = owner_in(lab, _id_among(namespaces or ()))
        flux = _flux(kubectl, namespaces, named, owner)
        wanted = dict(_wanted_namespaces(lab, seats))
        own = _own(namespaces or (), wanted, owner)
        new_seats = sum(seat_namespace(seat) not in own for seat in seats)
        needs_git = lab.git_pod is not None and git_namespace(lab.lab) not in own
        # What the lab has already has its room, whatever else has filled the cluster since.
        needs_room = flux is not Flux.OURS or needs_git or new_seats > 0
        pods = _listed(kubectl, "pods") if needs_room else []
        serves = True if policies is None else policies.result()
        shared = _shared(kubectl, owner, policies=bool(serves)) if seats else ()
    if flux is Flux.OURS and owner.unmarked:
        # A lab of 0.1.0 did not label it. The next `up` does.
        del wanted[NAMESPACE]
    return ClusterTraits(
        asked=True,
        version=version,
        flux=flux,
        occupied=_occupied(namespaces, wanted, owner),
        nodes=nodes_of(nodes.result(), pods),
        lacks_git=lab.git_pod is not None and needs_room and not _has_git_server(lab, pods or ()),
        new_seats=None if namespaces is None else new_seats,
        denied=denied.result(),
        policies=serves,
        dns=(CLUSTER_DNS,) if dns is None else dns.result(),
        shared=shared,
        storage=None if storage is None else storage.result(),
    )


def _wanted_namespaces(lab: Places, seats: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the namespaces that a lab makes, except Flux's own, each with the label that has the
    lab's name there."""
    yield NAMESPACE, LAB_LABEL
    yield probe_namespace(lab.lab), LAB_LABEL
    if lab.git_pod is not None:
        yield git_namespace(lab.lab), GIT_LABEL
    for seat in seats:
        yield seat_namespace(seat), LAB_LABEL
        yield seat_system_namespace(seat), LAB_LABEL


def _silent(lab: Places, failure: Failed) -> str:
    if trouble_of(failure.words) is Trouble.DENIED:
        return f"the cluster of the context {lab.lab_context} refuses the credentials of its user"
    return f"the cluster of the context {lab.lab_context} does not answer within 10 s"


def _unseen(why: str) -> ClusterTraits:
    return ClusterTraits(asked=True, unseen=why)


def _raw(kubectl: Kubectl, path: str) -> Object:
    """Return the object that the API server has at a path. Raises Failed."""
    found: Object = json.loads(kubectl.run("get", "--raw", path, *_TIMEOUT, patience=_PATIENCE_S))
    return found


def _listed(kubectl: Kubectl, kind: str) -> list[Object] | None:
    try:
        return kubectl.list(kind, patience=60)
    except Undecided:
        return None


def _serves(kubectl: Kubectl, version: str, resource: str) -> bool | None:
    """Return whether the API server has a resource; None if it does not list its resources."""
    try:
        found = _raw(kubectl, f"/apis/{version}")["resources"]
    except Failed as failure:
        return False if _NOT_FOUND in failure.words else None
    return any(one["name"] == resource for one in found)


def _dns(kubectl: Kubectl) -> tuple[str, ...] | None:
    """Return the labels `k8s-app` of the pods that answer DNS; None if pods cannot be listed."""
    kinds = f"{_APP} in ({CLUSTER_DNS},{NODE_DNS})"
    try:
        pods = kubectl.list("pods", namespace=OLDEST, selector=kinds, patience=_PATIENCE_S)
    except Undecided:
        return None
    return tuple(sorted({pod["metadata"]["labels"][_APP] for pod in pods}))


def _id_among(namespaces: Iterable[Object]) -> str:
    """Return the id of the cluster, which is the uid of its oldest namespace; "" if that one is not
    listed."""
    found = (one["metadata"] for one in namespaces)
    return next((str(one["uid"]) for one in found if one["name"] == OLDEST), "")


def _flux(
    kubectl: Kubectl, namespaces: Sequence[Object] | None, groups: Sequence[str], owner: Owner
) -> Flux | None:
    """Return whose Flux the cluster has, None if this was not seen. Without its namespace, a Flux
    is recognised by the API groups of its kinds.

    + groups: the names of the cluster's API groups
    """
    if namespaces is None:
        return None
    for namespace in namespaces:
        if namespace["metadata"]["name"] == FLUX_NAMESPACE:
            if owner.has(namespace):
                return Flux.OURS
            return Flux.NAMESAKE if label(namespace, LAB_LABEL) == owner.lab else Flux.FOREIGN
    toolkit = {group for group in groups if group.endswith(TOOLKIT)}
    own = {one["metadata"]["name"] for one in namespaces if owner.has(one)}
    return _flux_by_kinds(kubectl, toolkit, owner, own) if toolkit else Flux.ABSENT


def _flux_by_kinds(
    kubectl: Kubectl, groups: Set[str], owner: Owner, own: Container[str]
) -> Flux | None:
    """Return whose Flux has left its kinds in a cluster without its namespace, None if the kinds
    were not seen. This lab's own count as no Flux, since `up` makes the rest anew, unless
    controllers of somebody else's work with them.

    + groups: the API groups of these kinds
    + own: the lab's namespaces
    """
    try:
        kinds = kubectl.list(DEFINITIONS, selector=f"{LAB_LABEL}={owner.lab}", patience=60)
        is_at_work = bool(controllers_of_others(kubectl, own))
    except (Failed, Undecided):
        return None
    if not all(map(owner.has, kinds)):
        return Flux.NAMESAKE
    if is_at_work:
        return Flux.FOREIGN
    return Flux.ABSENT if groups <= {one["spec"]["group"] for one in kinds} else Flux.KINDS


def controllers_of_others(kubectl: Kubectl, own: Container[str]) -> list[str]:
    """Return the Flux controllers in the namespaces of others, as `namespace/name`. Raises Failed.

    + own: the lab's namespaces, in which a learner may have made something that looks like one
    """
    asked = ("get", "deployments", "--all-namespaces", "--selector", OF_FLUX, "--output", _NAMES)
    found = kubectl.run(*asked, patience=_PATIENCE_S).decode().split()
    return [one for one in found if one.partition("/")[0] not in own]


def _own(namespaces: Iterable[Object], wanted: Mapping[str, str], owner: Owner) -> set[str]:
    """Return which of the namespaces that the lab wants are there, and are the lab's.

    + wanted: for each of these namespaces, the label that has the lab's name there
    """
    there = {one["metadata"]["name"]: one for one in namespaces}
    return {name for name, key in wanted.items() if name in there and owner.has(there[name], key)}


def _occupied(
    namespaces: Sequence[Object] | None, wanted: Mapping[str, str], owner: Owner
) -> tuple[str, ...] | None:
    """Return which of the namespaces that the lab wants already exist and are not the lab's; None
    if the namespaces were not seen.

    + wanted: for each of these namespaces, the label that has the lab's name there
    """
    if namespaces is None:
        return None
    there = {one["metadata"]["name"]: one for one in namespaces}
    return tuple(
        name for name, one in there.items() if name in wanted and not owner.has(one, wanted[name])
    )


def _shared(kubectl: Kubectl, owner: Owner, *, policies: bool) -> tuple[str, ...] | None:
    """Return which of a class's objects outside namespaces already exist and are not the lab's;
    None if they were not seen.

    + policies: whether the cluster knows ValidatingAdmissionPolicies
    """
    names = (*CLASS_ROLES, *(CLASS_POLICIES if policies else ()))
    try:
        found = kubectl.present(*names, patience=_PATIENCE_S)
    except Undecided:
        return None
    return tuple(f"{one['kind']} {one['metadata']['name']}" for one in found if not owner.has(one))


def _has_git_server(lab: Places, pods: Iterable[Object]) -> bool:
    """Return whether the pod of the lab's Git server is on a node."""
    return any(
        pod["metadata"]["name"] == GIT_POD
        and pod["metadata"]["namespace"] == git_namespace(lab.lab)
        and pod["spec"].get("nodeName") is not None
        and not _has_ended(pod)
        for pod in pods
    )


def nodes_of(
    nodes: Sequence[Object] | None, pods: Sequence[Object] | None
) -> tuple[ClusterNode, ...] | None:
    """Return the nodes with what their pods leave free; None if nodes or pods were not seen."""
    if nodes is None or pods is None:
        return None
    taken: dict[str, list[Object]] = {}
    for pod in pods:
        if not _has_ended(pod):
            taken.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
    return tuple(_node(node, taken.get(node["metadata"]["name"], [])) for node in nodes)


def _has_ended(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def _node(node: Object, pods: Sequence[Object]) -> ClusterNode:
    # A node that has only just joined, or that only represents another service, may not report
    # what it can allocate.
    info, free = node["status"]["nodeInfo"], node["status"].get("allocatable") or {}
    return ClusterNode(
        name=node["metadata"]["name"],
        architecture=info["architecture"],
        usable=is_ready(node) and info["operatingSystem"] == "linux" and not _is_kept_off(node),
        cpu_m=int((_free(free, "cpu") - _requested(pods, "cpu")) * 1000),
        memory_mib=int((_free(free, "memory") - _requested(pods, "memory")) / _MIB),
        pods=int(_free(free, "pods")) - len(pods),
    )


def _free(allocatable: Object, resource: str) -> Decimal:
    return quantity(str(allocatable.get(resource, "0")))


def _is_kept_off(node: Object) -> bool:
    """Return whether the scheduler keeps pods without tolerations off a node."""
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
    """Return the recorded answers of what pods on each node could reach, None without a record."""
    return decoded(Reach, read(lab.reach_file))


def wanted_reach(lab: Places) -> Reach:
    """Return what the answers of the nodes have to be about (cluster, images and address), without
    any node yet. Raises Undecided if the cluster cannot be identified, and Failed without Flux's
    command."""
    with ThreadPoolExecutor(1) as beside:
        exported = beside.submit(flux_command.manifests, lab, flux_command.CONTROLLERS)
        cluster = cluster_id(Kubectl(lab))
    # In the order that older records have them in.
    images = tuple(sorted(images_of(exported.result())))
    return Reach(cluster, images, lab.git_base_cluster_url, {})


def usable_nodes(lab: Places) -> list[str]:
    """Return the names of the nodes that accept a pod without tolerations. Raises Undecided."""
    nodes = nodes_of(Kubectl(lab).list("nodes", patience=60), []) or ()
    return [node.name for node in nodes if node.usable]


def open_questions(lab: Lab, accept: list[str], seats: list[str]) -> Questions | None:
    """Return which questions pods and dry runs still have to put to the cluster; None if it cannot
    be asked yet.

    + accept: the names of what the lab does without
    + seats: the ids of the seats of a class, which needs more of a cluster; empty without a class
    """
    if not has_content(lab.lab_kubeconfig):
        return None
    try:
        return questions(usable_nodes(lab), wanted_reach(lab), reach_of(lab), accept, seats)
    except (Failed, Undecided):
        return None
