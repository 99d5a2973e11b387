"""Where the canary of a lab without a class gets lost: the first broken link of its way."""

from __future__ import annotations

from sopslab.checks.causes import meaning
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import CANARY_PATH, KEY_SECRET
from sopslab.model.canaries import Link
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

_CONTROLLERS = ("source-controller", "kustomize-controller")
_READY = "ready"
_CLOSER = "`sopslab doctor` looks closer"


def broken_link(lab: Lab, environment: Environment, link: Link | None) -> str:
    """Return in words what keeps the canary from arriving.

    + link: what was not there when it was last looked at; None where the Git server did not answer
    """
    kubectl = Kubectl(lab)
    if link is None:
        return f"the Git server does not answer at {lab.git_base_url}/{environment.repository}.git"
    if not kubectl.answers():
        return "the API server does not answer"
    for controller in _CONTROLLERS:
        found = _get(kubectl, "deployment", environment.system, controller)
        if not ((found or {}).get("status") or {}).get("readyReplicas"):
            return (
                f"{controller} is not ready: `kubectl --namespace {environment.system} logs"
                f" deployment/{controller}` has its last words"
            )
    said = _told(kubectl, "GitRepository", environment, environment.source)
    if said != _READY:
        said = said or "its source is not there"
        return f"Flux cannot read the repository: {said}; {_CLOSER}"
    if _get(kubectl, "secret", environment.system, KEY_SECRET) is None:
        return f"the decryption key sops-age is missing in {environment.system}"
    said = _told(kubectl, "Kustomization", environment, environment.kustomization)
    if said != _READY:
        return f"{environment.kustomization} is not ready: {said or 'it is not there'}; {_CLOSER}"
    if link is Link.KEY:
        return f"the store's key cannot decrypt {CANARY_PATH}"
    return (
        f"{environment.kustomization} is Ready, but lab-canary holds another value than the"
        " repository"
    )


def _told(kubectl: Kubectl, kind: str, environment: Environment, name: str) -> str | None:
    """Return in words what an object of Flux says of itself, None where it is not there."""
    found = _get(kubectl, kind.lower(), environment.system, name)
    if found is None:
        return None
    return meaning(kind, condition(found, "Ready"), name, environment.namespace)


def _get(kubectl: Kubectl, kind: str, namespace: str, name: str) -> Object | None:
    try:
        return kubectl.get(kind, name, namespace, patience=20)
    except Undecided:
        return None
