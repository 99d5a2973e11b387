"""A cluster that the lab did not make: taken on, and left as it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sopslab.config.naming import probe_namespace
from sopslab.config.places import Lab
from sopslab.lab.observe.existing import context_of, lab_namespaces
from sopslab.lab.tools import files, flux
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import FLUX_NAMESPACE

_KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
_SOURCES = (
    "receivers.notification.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
)


def take_on(lab: Lab, kubeconfig: str) -> None:
    """Write the lab's own kubeconfig for a cluster that exists: one context of a user's file.

    Raises Failed if there is no such context.

    + kubeconfig: the user's file
    """
    files.write(lab.lab_kubeconfig, context_of(lab, kubeconfig))


def leave(lab: Lab, namespace: str) -> None:
    """Remove from a cluster what the lab brought: Flux, the environments, pods of a probe. Raises
    Failed.

    What Flux applied goes first, while its controllers still answer for the finalizers.

    + namespace: where Secrets arrive
    """
    kubectl = Kubectl(lab)
    brought = lab_namespaces(lab) or []
    deletion = ("--ignore-not-found", "--timeout", "90s")
    if FLUX_NAMESPACE in brought:
        _remove_flux(lab, kubectl, deletion)
    for name in (namespace, probe_namespace(lab.lab)):
        # One that the lab did not bring is somebody's, whatever it is called.
        if name in brought:
            kubectl.run("delete", "namespace", name, *deletion, patience=120)
    for file in (lab.reach_file, lab.issuer_file, lab.lab_kubeconfig):
        Path(file).unlink(missing_ok=True)


def _remove_flux(lab: Lab, kubectl: Kubectl, deletion: Sequence[str]) -> None:
    in_flux = ("--namespace", FLUX_NAMESPACE)
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


def _has_kind(kubectl: Kubectl, kind: str) -> bool:
    return kubectl.succeeds("get", "customresourcedefinitions", kind, patience=120)
