"""Objects of the cluster, in the JSON of its API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

FLUX_KINDS = {
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "Receiver": "notification.toolkit.fluxcd.io/v1",
}


def condition(found: Object, kind: str) -> Mapping[str, Any]:
    """Return a condition of an object's status, empty if the object does not report it.

    + kind: the type of the condition, such as `Ready`
    """
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})


def label(found: Object, key: str) -> str | None:
    """Return the value of a label of an object, None if the object lacks the label."""
    value: str | None = (found["metadata"].get("labels") or {}).get(key)
    return value


def group_of(found: Object) -> str:
    """Return the API group of an object, "" for the core group."""
    group, slash, _ = str(found.get("apiVersion", "")).partition("/")
    return group if slash else ""


def inventory_id(found: Object) -> str:
    """Return the id of an object in Flux's inventories.

    From fluxcd/cli-utils, pkg/object: namespace, name with `:` as `__`, group and kind.
    """
    metadata = found["metadata"]
    name = str(metadata["name"]).replace(":", "__")
    return "_".join([metadata.get("namespace") or "", name, group_of(found), found["kind"]])


def inventory(found: Object | None) -> frozenset[str]:
    """Return the ids of the objects that Flux has applied for a Kustomization, from its
    inventory."""
    entries = (((found or {}).get("status") or {}).get("inventory") or {}).get("entries") or []
    return frozenset(str(entry["id"]) for entry in entries)


def is_suspended(found: Object) -> bool:
    """Return whether one of Flux's objects is suspended."""
    return (found.get("spec") or {}).get("suspend") is True


def is_ready(found: Object) -> bool:
    """Return whether an object reports that it is ready."""
    return condition(found, "Ready").get("status") == "True"


def is_busy(found: Object) -> bool:
    """Return whether Flux is working on one of its objects at the moment."""
    return condition(found, "Ready").get("status") not in ("True", "False") or (
        condition(found, "Reconciling").get("status") == "True"
    )


def is_deleted(found: Object) -> bool:
    """Return whether an object is being deleted."""
    return found["metadata"].get("deletionTimestamp") is not None


def reference(kind: str, namespace: str, name: str) -> dict[str, Any]:
    """Return one of Flux's objects with the fields that name it, and no others."""
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": FLUX_KINDS[kind], "kind": kind, "metadata": metadata}


def namespace(name: str, labels: Mapping[str, str]) -> Object:
    """Return the manifest of a namespace."""
    metadata = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def identity(found: Object) -> dict[str, Any]:
    """Return an object with the fields that name it, and no others."""
    named = found["metadata"]
    metadata = {key: named[key] for key in ("name", "namespace") if key in named}
    return {"apiVersion": found.get("apiVersion"), "kind": found["kind"], "metadata": metadata}


class Live:
    """Objects in the cluster, which can be found by their names."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._by_id = {inventory_id(one): one for one in objects}
        self._in: dict[str, list[Object]] = {}
        for one in self._by_id.values():
            self._in.setdefault(one["metadata"].get("namespace") or "", []).append(one)

    def __contains__(self, inventory_id: str) -> bool:
        return inventory_id in self._by_id

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return an object of Flux or of the core group, such as a Namespace; None if it is not
        there."""
        group = FLUX_KINDS.get(kind, "").partition("/")[0]
        return self._by_id.get("_".join([namespace, name.replace(":", "__"), group, kind]))

    def within(self, namespace: str) -> list[Object]:
        """Return the objects in a namespace."""
        return self._in.get(namespace, [])
