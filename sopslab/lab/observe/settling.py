"""Whether Flux is at work, and on what; nothing of a cluster that does not answer."""

from __future__ import annotations

from sopslab.checks.rotation import is_settled
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import KEY_SECRET, KUSTOMIZATIONS
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

_PATIENCE_S = 20


def seen(lab: Lab, kinds: str, patience: float = 60) -> list[Object]:
    """Return the objects of some kinds, as far as they can be seen."""
    if not has_content(lab.lab_kubeconfig):
        return []
    try:
        return Kubectl(lab).list(kinds, patience=patience)
    except Undecided:
        return []


def own_kustomizations(lab: Lab, environments: list[Environment]) -> list[Object]:
    """Return the Kustomizations that deliver the environments' Secrets, as far as they are seen."""
    found = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one
        for one in seen(lab, KUSTOMIZATIONS, _PATIENCE_S)
    }
    names = [(one.system, one.kustomization) for one in environments]
    return [found[name] for name in names if name in found]


def settling_objects(lab: Lab, environments: list[Environment]) -> list[str]:
    """Return the learners whose Kustomization is being reconciled, or has not yet met the key that
    the cluster has now.

    Flux looks again when the key changes, and whatever else it is told while it looks makes it give
    up, and say for a moment that it is not ready.
    """
    keys = _key_versions(lab)
    at_work = {
        one["metadata"]["namespace"]
        for one in own_kustomizations(lab, environments)
        if not is_settled(one, keys.get(one["metadata"]["namespace"], 0))
    }
    return [one.id for one in environments if one.system in at_work]


def _key_versions(lab: Lab) -> dict[str, int]:
    """Return the version of each namespace's key. The keys themselves are not printed."""
    if not has_content(lab.lab_kubeconfig):
        return {}
    try:
        said = Kubectl(lab).run(
            "get", "secrets", "--all-namespaces", f"--field-selector=metadata.name={KEY_SECRET}",
            "--no-headers", "--output",
            "custom-columns=:.metadata.namespace,:.metadata.resourceVersion",
            patience=_PATIENCE_S,
        )  # fmt: skip
    except Failed:
        return {}
    lines = (line.split() for line in said.decode().splitlines())
    return {parts[0]: int(parts[1]) for parts in lines if len(parts) == 2}
