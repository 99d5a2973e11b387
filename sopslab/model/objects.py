"""Objects of the cluster, as its API has them in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]

FLUX_KINDS = {
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "Receiver": "notification.toolkit.fluxcd.io/v1",
}


def condition(found: Object, kind: str) -> Mapping[str, Any]:
    """Return a condition that an object reports, empty if it does not."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def reference(kind: str, namespace: str, name: str) -> dict[str, Any]:
    """Return what names one of Flux's own objects, and nothing else of it."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": FLUX_KINDS[kind], "kind": kind, "metadata": metadata}
