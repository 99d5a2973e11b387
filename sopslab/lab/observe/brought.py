"""Which objects of an existing cluster are the lab's. They are found by a label that all of them
carry."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence

import yaml

from sopslab.config.naming import probe_namespace
from sopslab.config.places import Lab
from sopslab.lab.observe.existing import (
    DEFINITIONS,
    TOOLKIT,
    address_in,
    context_of,
    controllers_of_others,
)
from sopslab.lab.observe.manifests import OF_FLUX
from sopslab.lab.observe.objects import is_unknown
from sopslab.lab.observe.ownership import cluster_id, owner_by
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.troubles import trouble_of
from sopslab.layout import FLUX_NAMESPACE, LAB_LABEL, NAMESPACE, REQUEST_LABEL, SEAT_LABEL
from sopslab.model.clusters import FormerCluster
from sopslab.model.objects import Object, label
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble
from sopslab.model.yaml_loader import LOADER

NAMESPACES = "namespaces"
# In the order of their removal. The namespaces of seats are removed before these, while policies
# still guard them, and each policy after the binding that names it.
WITHOUT_NAMESPACE = (
    "validatingadmissionpolicybindings",
    "validatingadmissionpolicies",
    "clusterrolebindings",
    "clusterroles",
    DEFINITIONS,
)
REQUESTS = "certificatesigningrequests"
_PATIENCE_S, _LISTED_S = 20, 60
# In these cases the cluster did answer: the login has expired, a right is missing, or the API
# server is not ready.
_ANSWERED = (Trouble.DENIED, Trouble.UNWELL)


def brought(lab: Lab) -> dict[str, list[str]] | Trouble | None:
    """Return the names of the objects that this lab has brought into its cluster, by resource. A
    resource without any is left out. Return None if the cluster does not answer, and a Trouble if
    it answers, but does not list the objects.

    Objects in a namespace are not listed, because they are removed with it. An object with this
    lab's name but another lab id is not this lab's, and neither is an object of Flux with which
    somebody else's Flux works by now. Raises LabError if the lab's own id is damaged.
    """
    return _brought(lab, Kubectl(lab)) if has_content(lab.lab_kubeconfig) else {}


def left_behind(lab: Lab, kubeconfig: str) -> FormerCluster | None:
    """Return a former cluster in which the lab has left objects behind, or may have, or None.

    That is the cluster of the lab's own kubeconfig, if the lab's context in the user's file now
    leads to another one, and if the former one still has objects of the lab, or answers and does
    not say. One that does not answer counts as gone. Raises LabError as `brought` does, and
    Undecided if it cannot be seen whether both contexts lead to the same cluster.

    + kubeconfig: the user's file
    """
    own = read(lab.lab_kubeconfig)
    address = address_in(own)
    if own is None or address is None or not _leads_elsewhere(lab, kubeconfig, address):
        return None
    there = Kubectl(lab, context=str(yaml.load(own, LOADER).get("current-context")))
    found = _brought(lab, there)
    if isinstance(found, Trouble):
        return FormerCluster(address, refuses=True)
    if not found or cluster_id(there) == cluster_id(Kubectl(lab, kubeconfig=kubeconfig)):
        return None
    return FormerCluster(address)


def _leads_elsewhere(lab: Lab, kubeconfig: str, address: str) -> bool:
    """Return whether the lab's context in the user's file is there, and has another address."""
    try:
        return address_in(context_of(lab, kubeconfig)) != address
    except Failed:
        return False


def _brought(lab: Lab, kubectl: Kubectl) -> dict[str, list[str]] | Trouble | None:
    try:
        own = _own(lab, kubectl)
        for kind in _left_to_others(kubectl, own):
            own[kind] = [one for one in own[kind] if not _is_of_flux(one)]
    except Failed as failure:
        return _answered(failure)
    except Undecided:
        return None
    return {
        kind: [one["metadata"]["name"] for one in objects]
        for kind, objects in own.items()
        if objects
    }


def _answered(failure: Failed) -> Trouble | None:
    """Return with which trouble a cluster has answered, None if it did not answer."""
    trouble = trouble_of(failure.words)
    return trouble if trouble in _ANSWERED else None


def _own(lab: Lab, kubectl: Kubectl) -> dict[str, list[Object]]:
    """Return the objects that carry this lab's labels, by resource. Raises Failed, Undecided, and
    LabError if the lab's own id is damaged."""
    labels = dict.fromkeys((NAMESPACES, *WITHOUT_NAMESPACE), LAB_LABEL) | {REQUESTS: REQUEST_LABEL}
    found = {kind: _labelled(kubectl, kind, f"{key}={lab.lab}") for kind, key in labels.items()}
    owner = owner_by(lab, kubectl)
    found[NAMESPACES] = [one for one in found[NAMESPACES] if _is_of_environments(one, lab.lab)]
    return {
        kind: [one for one in objects if owner.has(one, labels[kind])]
        for kind, objects in found.items()
    }


def _left_to_others(kubectl: Kubectl, own: Mapping[str, Sequence[Object]]) -> Collection[str]:
    """Return the resources whose objects of Flux are not the lab's any more, although they still
    carry its labels: its `flux-system` was deleted by hand, and somebody has installed another Flux
    since, whose controllers are there. Every Flux has the same kinds; its roles are the same if its
    namespace is. Raises Failed, and Undecided.

    + own: the objects with the lab's labels, by resource
    """
    namespaces = [one["metadata"]["name"] for one in own[NAMESPACES]]
    outside = [one for kind in WITHOUT_NAMESPACE for one in own[kind]]
    if FLUX_NAMESPACE in namespaces or not any(map(_is_of_flux, outside)):
        return ()
    others = controllers_of_others(kubectl, namespaces)
    if any(one.startswith(f"{FLUX_NAMESPACE}/") for one in others):
        return WITHOUT_NAMESPACE
    return (DEFINITIONS,) if others else ()


def _is_of_flux(found: Object) -> bool:
    key, _, value = OF_FLUX.partition("=")
    return label(found, key) == value


def _labelled(kubectl: Kubectl, kind: str, selector: str) -> list[Object]:
    """Return the objects of a kind that a selector of labels matches; none if the cluster does not
    know the kind. Raises Failed."""
    try:
        said = kubectl.run(
            "get", kind, "--selector", selector, "--output", "json", patience=_PATIENCE_S
        )
    except Failed as failure:
        if is_unknown(failure):
            return []
        raise
    return list(parsed(said)["items"])


def _is_of_environments(namespace: Object, lab: str) -> bool:
    """Return whether a namespace is one of those that are removed together with the lab."""
    named = (FLUX_NAMESPACE, NAMESPACE, probe_namespace(lab))
    metadata = namespace["metadata"]
    return metadata["name"] in named or SEAT_LABEL in metadata["labels"]


def has_flux(found: Mapping[str, Container[str]]) -> bool:
    """Return whether there is anything of Flux, in its namespace or outside it, among the objects
    that a lab has brought."""
    return FLUX_NAMESPACE in found.get(NAMESPACES, ()) or DEFINITIONS in found


def others_at_stake(lab: Lab) -> list[str] | Trouble | None:
    """Return what others have that needs this lab's Flux, as `others_of_flux` does. If the cluster
    does not say that, or what this lab has brought, return None or a Trouble as `brought` does.
    Raises LabError as `brought` does."""
    found = brought(lab)
    if found is None or isinstance(found, Trouble):
        return found
    if not has_flux(found):
        return []
    try:
        return others_of_flux(Kubectl(lab), found.get(NAMESPACES, []))
    except Failed as failure:
        return _answered(failure)


def others_of_flux(kubectl: Kubectl, own: Collection[str]) -> list[str]:
    """Return the objects of Flux's kinds in the namespaces of others, and the controllers of
    another Flux there, as `Kind namespace/name`. The former would be deleted together with these
    kinds, and the latter cannot work without them. Raises Failed.

    + own: the lab's namespaces
    """
    others = [f"Deployment {one}" for one in controllers_of_others(kubectl, own)]
    said = kubectl.run("get", DEFINITIONS, "--output", "name", patience=_PATIENCE_S)
    kinds = [one.rpartition("/")[2] for one in said.decode().split() if one.endswith(TOOLKIT)]
    if not kinds:
        return others
    said = kubectl.run(
        "get", ",".join(kinds), "--all-namespaces", "--output", "json", patience=_LISTED_S
    )
    return others + [
        f"{one['kind']} {one['metadata']['namespace']}/{one['metadata']['name']}"
        for one in parsed(said)["items"]
        if one["metadata"]["namespace"] not in own
    ]
