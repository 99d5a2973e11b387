"""Take on a cluster that the lab did not make, and leave it as it was."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from sopslab.checks.ownership import shared_flux
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.manifests import holders, let_go
from sopslab.lab.observe.brought import (
    NAMESPACES,
    REQUESTS,
    WITHOUT_NAMESPACE,
    brought,
    has_flux,
    others_of_flux,
)
from sopslab.lab.observe.existing import context_of
from sopslab.lab.observe.ownership import cluster_id, lab_id, unmarked_clusters
from sopslab.lab.tools import files, flux
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import FLUX_NAMESPACE, GIT_REPOSITORIES, KUSTOMIZATIONS, RECEIVERS
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble

_AT_ONCE = ("--ignore-not-found", "--wait=false")
# How long namespaces may take to go: for any number of them, and in addition for each.
_GOING_S, _EACH_S = 90, 2


def take_on(lab: Lab, kubeconfig: str) -> None:
    """Write the lab's own kubeconfig for an existing cluster, from one context of a user's file.

    The lab gets its id first, and so before anything is made in a cluster. Raises Failed if there
    is no such context, and LabError where the id is damaged.

    + kubeconfig: the user's file
    """
    context = context_of(lab, kubeconfig)
    if lab_id(lab) is None:
        # Once the lab has an id, the record of what pods reached no longer tells where the lab was
        # before.
        if before := unmarked_clusters(lab):
            files.write(lab.clusters_file, json.dumps(before))
        files.write(lab.id_file, secrets.token_hex(8))
    files.write(lab.lab_kubeconfig, context)


def leave(lab: Lab) -> None:
    """Remove from a cluster what the lab brought: Flux, the environments, what guards them, and
    what a killed run left. Raises Failed and Undecided, and LabError where the cluster does not
    answer or a namespace stays; also, before anything is removed, where others use the lab's Flux.

    What Flux applied is removed first, while Flux's controllers still remove their finalizers. If
    the controllers do not answer, or their namespace is gone, it is removed all the same, because
    all of it is found by its label. If somebody else's Flux works with the kinds that the lab has
    brought, those stay.
    """
    found = brought(lab)
    if isinstance(found, Trouble):
        raise LabError(f"{found.value}: correct that, then run again")
    if found is None:
        raise LabError(f"the cluster of the context {lab.lab_context} does not answer: run again")
    kubectl = Kubectl(lab)
    namespaces = found.get(NAMESPACES, [])
    if has_flux(found):
        if others := others_of_flux(kubectl, namespaces):
            raise LabError(shared_flux(others))
        _remove_flux(lab, kubectl)
    _remove_namespaces(lab, kubectl, namespaces)
    for kind in (*WITHOUT_NAMESPACE, REQUESTS):
        if kind in found:
            kubectl.run("delete", kind, *found[kind], *_AT_ONCE)
    # The record comes last: without it, what is left in the cluster would count as somebody else's.
    # It stays if the Git server is in the cluster, because that leaves its repositories there.
    if lab.git_pod is None and (before := unmarked_clusters(lab)):
        cluster = cluster_id(kubectl)
        files.write(lab.clusters_file, json.dumps([one for one in before if one != cluster]))
    for file in (lab.reach_file, lab.issuer_file, lab.lab_kubeconfig):
        Path(file).unlink(missing_ok=True)


def _remove_flux(lab: Lab, kubectl: Kubectl) -> None:
    in_flux = ("--namespace", FLUX_NAMESPACE)
    awaited = ("--ignore-not-found", "--timeout", "90s")
    gone = ("--all", *(awaited if _flux_answers(kubectl) else _AT_ONCE))
    if _has_kind(kubectl, KUSTOMIZATIONS):
        # Flux would prune itself halfway and leave the rest; a suspended Kustomization prunes
        # nothing.
        kubectl.succeeds(
            *in_flux, "patch", KUSTOMIZATIONS, FLUX_NAMESPACE,
            "--type", "merge", "--patch", '{"spec":{"suspend":true}}', patience=120,
        )  # fmt: skip
        kubectl.succeeds(*in_flux, "delete", KUSTOMIZATIONS, *gone, patience=120)
    for kind in (RECEIVERS, GIT_REPOSITORIES):
        if _has_kind(kubectl, kind):
            kubectl.succeeds(*in_flux, "delete", kind, *gone, patience=120)
    # This removes Flux's finalizers from whatever is left, in every namespace.
    flux.uninstall(lab)


def _flux_answers(kubectl: Kubectl) -> bool:
    """Return whether Flux's controllers are there to remove its finalizers: without them, it would
    be in vain to wait for the end of its objects."""
    ready = ("--for=condition=Available", "--timeout", "10s")
    return kubectl.succeeds(
        "--namespace", FLUX_NAMESPACE, "wait", "deployments", "--all", *ready, patience=20
    )


def _has_kind(kubectl: Kubectl, kind: str) -> bool:
    return kubectl.succeeds("get", "customresourcedefinitions", kind, patience=120)


def _remove_namespaces(lab: Lab, kubectl: Kubectl, names: Sequence[str]) -> None:
    """Delete namespaces, and wait until they are gone. Raises Failed, and LabError that says what
    holds a namespace that stays."""
    if not names:
        return
    kubectl.run("delete", "namespace", *names, *_AT_ONCE)
    spaces = [f"namespace/{name}" for name in names]
    patience = _GOING_S + _EACH_S * len(names)
    deadline = Deadline(patience)
    while not kubectl.succeeds("wait", "--for=delete", *spaces, "--timeout", "10s"):
        if deadline.is_over:
            raise LabError(_staying(kubectl, names, patience))
        # Somebody else's Flux may leave the objects in these namespaces alone.
        let_go(lab)


def _staying(kubectl: Kubectl, names: Sequence[str], patience: int) -> str:
    """Return in a sentence which namespace is still there, and what holds it."""
    try:
        found = [one for name in names if (one := kubectl.get("namespace", name)) is not None]
    except Undecided:
        found = []
    if not found:
        return "the cluster does not say whether the namespaces of the lab are gone: run again"
    return (
        f"the namespace {found[0]['metadata']['name']} is being deleted, and after {patience} s it"
        f" is not gone: {holders(found[0])}. Remove that by hand, then run again"
    )
