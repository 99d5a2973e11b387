"""Objects in the lab's cluster, many in one question. No value of a Secret is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.objects import Live, Object

# What makes an environment, and says how far it is.
DELIVERY = ",".join(
    (
        "namespaces",
        "gitrepositories.source.toolkit.fluxcd.io",
        "kustomizations.kustomize.toolkit.fluxcd.io",
        "receivers.notification.toolkit.fluxcd.io",
    )
)
# They pass by themselves.
_EVENTS = {"events", "events.events.k8s.io"}


def delivery_objects(lab: Lab, secrets: Sequence[str] = ()) -> Live:
    """Return Flux's objects, the namespaces, and every Secret of some names, without values."""
    cluster = Kubectl(lab)
    found = _seen(cluster, DELIVERY, "--all-namespaces")
    for name in secrets:
        selector = f"--field-selector=metadata.name={name}"
        found += _seen(cluster, "secrets", "--all-namespaces", selector)
    return Live(found)


def environment_objects(lab: Lab, environments: Sequence[Environment]) -> Live:
    """Return the same, and whatever is in the environments' own namespaces."""
    cluster = Kubectl(lab)
    kinds = _kinds(cluster)
    if len(environments) > 1:
        return Live(_seen(cluster, f"namespaces,{kinds}", "--all-namespaces"))
    # Of one among many, only what is in its own namespace is asked for.
    found = _seen(cluster, DELIVERY, "--all-namespaces")
    for one in environments:
        found += _seen(cluster, kinds, "--namespace", one.namespace)
    return Live(found)


def _kinds(cluster: Kubectl) -> str:
    listed = cluster.say(
        "api-resources", "--namespaced", "--verbs", "list,delete", "--output", "name"
    )
    return ",".join(kind for kind in listed.decode().split() if kind not in _EVENTS)


def _seen(cluster: Kubectl, *arguments: str) -> list[Object]:
    """Return what can be seen: a kind that the cluster does not know is in nobody's way."""
    said = cluster.say("get", *arguments, "--output", "json")
    try:
        items = json.loads(said)["items"]
    except (ValueError, KeyError, TypeError):
        return []
    return [_without_values(one) for one in items]


def _without_values(found: Object) -> Object:
    return {key: value for key, value in found.items() if key not in ("data", "stringData")}
