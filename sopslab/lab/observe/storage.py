"""The storage that an existing cluster has for the claim of the lab's Git server."""

from __future__ import annotations

from collections.abc import Iterable

from sopslab.config.naming import git_namespace
from sopslab.config.places import Places
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.clusters import Storage, Volume
from sopslab.model.git_pod import CLAIM
from sopslab.model.objects import Object
from sopslab.model.quantities import quantity
from sopslab.model.results import Undecided

_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
_PATIENCE_S = 20.0


def storage_of(lab: Places, kubectl: Kubectl) -> Storage | None:
    """Return the storage classes of a cluster, and the volumes that the claim may get or has; None
    if they cannot be listed."""
    try:
        found = kubectl.list("storageclasses,persistentvolumes", patience=_PATIENCE_S)
    except Undecided:
        return None
    classes = [one for one in found if one["kind"] == "StorageClass"]
    return Storage(
        classes=tuple(one["metadata"]["name"] for one in classes),
        default=any(map(_is_default, classes)),
        volumes=tuple(_volumes(lab, found)),
    )


def _is_default(found: Object) -> bool:
    annotations = found["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in _DEFAULT)


def _volumes(lab: Places, found: Iterable[Object]) -> Iterable[Volume]:
    own = (git_namespace(lab.lab), CLAIM)
    for one in found:
        if one["kind"] != "PersistentVolume":
            continue
        spec, claim = one["spec"], one["spec"].get("claimRef")
        free = claim is None and (one.get("status") or {}).get("phase") == "Available"
        if free or (claim is not None and (claim.get("namespace"), claim.get("name")) == own):
            size = quantity(str(spec["capacity"]["storage"]))
            yield Volume(spec.get("storageClassName") or "", int(size))
