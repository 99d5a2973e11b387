"""Whether Flux is at work, and on what; nothing of a cluster that does not answer."""

from __future__ import annotations

from sopslab.checks.rotation import is_settled
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import own_kustomizations
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import KEY_SECRET

_PATIENCE_S = 20


def settling_objects(lab: Lab, environments: list[Environment]) -> list[str]:
    """Return the learners whose Kustomization is being reconciled, or has not yet met the key that
    the cluster has now.

    Flux looks again when the key changes, and whatever else it is told while it looks makes it give
    up, and say for a moment that it is not ready.
    """
    found = own_kustomizations(lab, environments)
    keys = _key_versions(lab) if found else {}
    return [
        one.id
        for one in environments
        if one.id in found and not is_settled(found[one.id], keys.get(one.system, 0))
    ]


def _key_versions(lab: Lab) -> dict[str, int]:
    """Return the version of each namespace's key. The keys themselves are not printed."""
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
