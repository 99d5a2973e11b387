"""End a build of Flux: all environments share one lock, so that only one build runs at a time."""

from __future__ import annotations

from datetime import UTC, datetime

from sopslab.checks.delivery import read_revision
from sopslab.config.places import Lab
from sopslab.lab.tools.kubectl import FLUX, Kubectl
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import FLUX_NAMESPACE, GIT_REPOSITORIES, KUSTOMIZATIONS
from sopslab.model.builds import Building
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided
from sopslab.model.suspension import BUILD, SUSPENDED_BY

_CONTROLLER = "kustomize-controller"
_ASKED = "reconcile.fluxcd.io/requestedAt"
_SUSPENDED = {
    "metadata": {"annotations": {SUSPENDED_BY: BUILD}},
    "spec": {"suspend": True},
}


def end(lab: Lab, build: Building) -> None:
    """End a build by deleting its controller's pod and lease: the new pod need not wait for the old
    lease to expire.

    The new controller would begin the same build again unless the source has another commit by
    then. If it has none, the Kustomization is suspended. Raises Failed and Undecided.
    """
    kubectl = Kubectl(lab)
    if _begun(kubectl, build) != build.since:
        return
    asked = datetime.now(UTC).isoformat()
    kubectl.run(
        "--namespace", build.namespace, "annotate", GIT_REPOSITORIES, build.source, "--overwrite",
        "--field-manager", FLUX, f"{_ASKED}={asked}",
    )  # fmt: skip

    def is_read() -> bool:
        status = _source(kubectl, build).get("status") or {}
        return bool(status.get("lastHandledReconcileAt") == asked)

    wait_until(is_read, 20, pause=1)
    if read_revision(_source(kubectl, build)).rpartition(":")[2] == build.commit:
        kubectl.patch(KUSTOMIZATIONS, build.name, build.namespace, _SUSPENDED, manager=FLUX)
    in_flux = ("--namespace", FLUX_NAMESPACE)
    kubectl.run(
        *in_flux, "delete", "pod", "--selector", f"app={_CONTROLLER}", "--grace-period", "1"
    )
    kubectl.run(*in_flux, "delete", "lease", f"{_CONTROLLER}-leader-election", "--ignore-not-found")
    kubectl.run(*in_flux, "rollout", "status", f"deployment/{_CONTROLLER}", "--timeout", "55s")


def _begun(kubectl: Kubectl, build: Building) -> str | None:
    """Return when the present build of the Kustomization began, None if the cluster does not
    say."""
    try:
        one = kubectl.get(KUSTOMIZATIONS, build.name, build.namespace) or {}
    except Undecided:
        return None
    return condition(one, "Reconciling").get("lastTransitionTime")


def _source(kubectl: Kubectl, build: Building) -> Object:
    return kubectl.get(GIT_REPOSITORIES, build.source, build.namespace) or {}
