"""How far a rotation is in the cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sopslab.checks.delivery import is_at_work
from sopslab.model.objects import Object, is_ready
from sopslab.model.rotation import LiveValue

# The pods of a workload that was restarted for an incident have its id in this annotation.
RESTARTED_FOR = "sops-lab/incident"


def is_settled(kustomization: Object, key_version: int) -> bool:
    """Return whether Flux is done with a Kustomization, and has reported this after the key was
    changed.

    All objects of a cluster share one sequence of resource versions, so the later change has the
    higher version.

    + key_version: the resource version of the cluster's present key, 0 if it has no key
    """
    return (
        is_ready(kustomization)
        and not is_at_work(kustomization)
        and int(kustomization["metadata"]["resourceVersion"]) > key_version
    )


def compare(file: Mapping[str, Any], live: Mapping[str, str] | None) -> LiveValue:
    """Return whether a Secret of the cluster differs from a file.

    + file: the decrypted manifest
    + live: the Secret's data, None if it is not there
    """
    if live is None:
        return LiveValue.ABSENT
    wanted = {key: "".join(_text(value).split()) for key, value in _section(file, "data")}
    for key, value in _section(file, "stringData"):
        wanted[key] = base64.b64encode(_text(value).encode()).decode()
    return LiveValue.SAME if wanted == live else LiveValue.DIFFERS


def _section(file: Mapping[str, Any], name: str) -> Collection[tuple[str, Any]]:
    return (file.get(name) or {}).items()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def consumers(workloads: Collection[Object], incident: str, secrets: Collection[str]) -> list[str]:
    """Return the workloads that read one of the Secrets into environment variables, and were not
    restarted for the incident yet, such as `deployment/web`. Flux does not restart them.

    + incident: the incident's id
    + secrets: the names of the Secrets
    """
    return [
        f"{one['kind'].lower()}/{one['metadata']['name']}"
        for one in workloads
        if _restarted_for(one) != incident and not set(secrets).isdisjoint(_sources(one))
    ]


def _restarted_for(workload: Object) -> str | None:
    metadata = workload["spec"]["template"].get("metadata") or {}
    found: str | None = (metadata.get("annotations") or {}).get(RESTARTED_FOR)
    return found


def _sources(workload: Object) -> Iterator[str]:
    pods = workload["spec"]["template"]["spec"]
    for container in [*(pods.get("containers") or []), *(pods.get("initContainers") or [])]:
        whole = [one.get("secretRef") for one in container.get("envFrom") or []]
        single = [
            (one.get("valueFrom") or {}).get("secretKeyRef") for one in container.get("env") or []
        ]
        for reference in filter(None, [*whole, *single]):
            if reference.get("name") is not None:
                yield reference["name"]
