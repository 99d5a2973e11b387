"""Whether an existing cluster has the storage for the lab's Git server."""

from __future__ import annotations

from collections.abc import Iterator

from sopslab.checks.clusters import unsaid
from sopslab.files.events import named
from sopslab.model.clusters import ClusterTraits, Problem, Storage
from sopslab.model.quantities import quantity


def find_storage_problems(
    traits: ClusterTraits, storage_class: str | None, size: str
) -> list[Problem]:
    """Return what a cluster lacks for the Git server's volume claim; empty if the cluster was not
    asked.

    + storage_class: the storage class that the lab file names, None for the cluster's default
    + size: the size of the volume, as Kubernetes writes it
    """
    if not traits.asked or traits.unseen:
        return []
    if traits.storage is None:
        return list(unsaid(traits, "which storage classes it has"))
    return list(_lacking(traits.storage, storage_class, size))


def _lacking(storage: Storage, storage_class: str | None, size: str) -> Iterator[Problem]:
    wanted = int(quantity(size))
    free = any(
        one.storage_class == (storage_class or "") and one.size >= wanted for one in storage.volumes
    )
    if free or (storage.default if storage_class is None else storage_class in storage.classes):
        return
    if storage_class is None:
        lack = "the cluster has no default StorageClass, and `git_in_cluster` names none"
    else:
        lack = f"the cluster has no StorageClass {storage_class}, which `git_in_cluster` names"
    others = (
        f"have `storage_class` of `git_in_cluster` name one of {named(storage.classes)}"
        if storage.classes
        else "have its administrators make one"
    )
    yield Problem(f"{lack}, and no free volume of {size} for it", others)
