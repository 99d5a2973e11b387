"""Whether objects are as they were when they were applied.

Pure. Objects are compared with what the API server returned when they were applied, and not with
the manifests, because the API server adds defaults and writes numbers in its own form.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sopslab.model.objects import Object, inventory_id, is_deleted

# Fields that controllers write all the time.
_REPORTED = {"metadata", "status"}
_NAMED = ("name", "namespace")
_GIVEN = ("labels", "annotations")


def lasting(made: Object, manager: str) -> Object:
    """Return the part of an applied object that stays the same until somebody changes it.

    + manager: the field manager that applied it; labels and annotations of others are left out
    """
    metadata = made["metadata"]
    named = {part: metadata[part] for part in _NAMED if part in metadata}
    given = {
        part: {name: metadata[part][name] for name in _owned(metadata, manager, part)}
        for part in _GIVEN
    }
    return {**_content(made), "metadata": {**named, **given}}


def _owned(metadata: Any, manager: str, part: str) -> list[str]:
    """Return the names of the labels or annotations that a manager has applied.

    + part: `labels` or `annotations`
    """
    return [
        field.removeprefix("f:")
        for entry in metadata.get("managedFields") or []
        if (entry.get("manager"), entry.get("operation")) == (manager, "Apply")
        for field in entry.get("fieldsV1", {}).get("f:metadata", {}).get(f"f:{part}", {})
        if field.startswith("f:")
    ]


def _content(one: Object) -> dict[str, Any]:
    return {part: value for part, value in one.items() if part not in _REPORTED}


def are_as_applied(live: Iterable[Object], applied: Iterable[Object]) -> bool:
    """Return whether objects in the cluster are as they were applied. Labels and annotations may
    have been added, but nothing else may differ.

    + applied: the lasting part of each object
    """
    found = {inventory_id(one): one for one in live}
    wanted = {inventory_id(one): one for one in applied}
    return found.keys() == wanted.keys() and all(
        _stands(found[name], one) for name, one in wanted.items()
    )


def _stands(live: Object, applied: Object) -> bool:
    return (
        not is_deleted(live)
        and _content(live) == _content(applied)
        and all(
            (live["metadata"].get(part) or {}).items() >= applied["metadata"][part].items()
            for part in _GIVEN
        )
    )
