"""Which environments Flux has not finished with; none if the cluster does not answer."""

from __future__ import annotations

from sopslab.checks.rotation import is_settled
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import own_kustomizations
from sopslab.lab.observe.scopes import Scope, gathered, scopes_of
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import KEY_SECRET
from sopslab.model.results import Undecided

_PATIENCE_S = 20


def settling_objects(lab: Lab, environments: list[Environment]) -> list[str]:
    """Return the ids of the learners whose Kustomization is not Ready, is being reconciled, or has
    not been reconciled since the key in the cluster was changed.

    Flux reconciles again when the key changes. If it is told anything else during that, it starts
    over, and reports for a moment that it is not Ready.
    """
    found = own_kustomizations(lab, environments)
    keys = _key_versions(lab, [one.system for one in environments]) if found else {}
    return [
        one.id
        for one in environments
        if one.id in found and not is_settled(found[one.id], keys.get(one.system, 0))
    ]


def _key_versions(lab: Lab, namespaces: list[str]) -> dict[str, int]:
    """Return the resource version of each namespace's key. The keys themselves are not printed."""
    kubectl = Kubectl(lab)

    def ask(scope: Scope) -> list[str]:
        said = kubectl.run(
            "get", "secrets", *scope.arguments, "--no-headers", "--output",
            "custom-columns=:.metadata.namespace,:.metadata.resourceVersion",
            patience=_PATIENCE_S,
        )  # fmt: skip
        return said.decode().splitlines()

    try:
        scopes = scopes_of(lab, kubectl, namespaces, f"metadata.name={KEY_SECRET}")
        lines = [line.split() for line in gathered(scopes, ask)]
    except (Failed, Undecided):
        return {}
    return {parts[0]: int(parts[1]) for parts in lines if len(parts) == 2}
