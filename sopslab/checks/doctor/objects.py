"""What an object of the cluster says of itself to Flux."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.model.objects import Object

LEFT_ALONE = "kustomize.toolkit.fluxcd.io/reconcile"
"""The annotation with which Flux does not touch an object while its value is `disabled`."""


def is_left_alone(found: Object) -> bool:
    """Return whether Flux is told not to touch an object."""
    return (found["metadata"].get("annotations") or {}).get(LEFT_ALONE) == "disabled"


def named(found: Sequence[Object] | None, name: str) -> Object | None:
    """Return the object of a name, None if it is not among them."""
    return next((one for one in found or () if one["metadata"]["name"] == name), None)
