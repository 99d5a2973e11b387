"""A cluster that the lab did not make: taken on, and left as it was."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import log
from sopslab.lab.observe.existing import context_of
from sopslab.lab.tools import files, flux
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import FLUX_NAMESPACE

_KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
_SOURCES = (
    "receivers.notification.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
)
_OWNER = "jsonpath={.metadata.name} {.metadata.labels.sops-lab}"


def take_on(lab: Lab, kubeconfig: str) -> None:
    """Write the lab's own kubeconfig for a cluster that exists: one context of a user's file.

    Raises LabError if there is no such cluster, or it has a Flux that is not this lab's.

    + kubeconfig: the user's file
    """
    try:
        context = context_of(lab, kubeconfig)
    except Failed as failure:
        log(failure)
        raise LabError(
            f"there is no context {lab.lab_context} in {kubeconfig}: `kubectl config get-contexts`"
            " lists them"
        ) from None
    with files.new_folder(lab.lab_kubeconfig) as folder:
        new = folder / "kubeconfig"
        files.write(new, context)
        _refuse_another_labs(lab, new)
        new.replace(lab.lab_kubeconfig)


def _refuse_another_labs(lab: Lab, kubeconfig: Path) -> None:
    try:
        said = Kubectl(lab).run(
            "--kubeconfig", str(kubeconfig), "--request-timeout", "10s",
            "get", "namespace", FLUX_NAMESPACE, "--ignore-not-found", "--output", _OWNER,
            patience=20,
        )  # fmt: skip
    except Failed as failure:
        log(failure)
        raise LabError(
            f"the cluster of the context {lab.lab_context} does not answer within 10 s"
        ) from None
    if said.decode().strip() not in ("", f"{FLUX_NAMESPACE} {lab.lab}"):
        raise LabError(
            f"the cluster of the context {lab.lab_context} has a Flux that this lab did not"
            " install; it is left alone"
        )


def leave(lab: Lab, namespace: str) -> None:
    """Remove Flux and the environments from a cluster. Raises Failed.

    What Flux applied goes first, while its controllers still answer for the finalizers.

    + namespace: where Secrets arrive
    """
    kubectl = Kubectl(lab)
    in_flux = ("--namespace", FLUX_NAMESPACE)
    deletion = ("--ignore-not-found", "--timeout", "90s")
    if _has_kind(kubectl, _KUSTOMIZATIONS):
        # Flux would take itself out halfway and leave the rest; what is suspended prunes nothing.
        kubectl.succeeds(
            *in_flux, "patch", _KUSTOMIZATIONS, FLUX_NAMESPACE,
            "--type", "merge", "--patch", '{"spec":{"suspend":true}}', patience=120,
        )  # fmt: skip
        kubectl.run(*in_flux, "delete", _KUSTOMIZATIONS, "--all", *deletion, patience=120)
    for kind in _SOURCES:
        if _has_kind(kubectl, kind):
            kubectl.run(*in_flux, "delete", kind, "--all", *deletion, patience=120)
    flux.uninstall(lab)
    kubectl.run("delete", "namespace", namespace, *deletion, patience=120)
    Path(lab.lab_kubeconfig).unlink(missing_ok=True)


def _has_kind(kubectl: Kubectl, kind: str) -> bool:
    return kubectl.succeeds("get", "customresourcedefinitions", kind, patience=120)
