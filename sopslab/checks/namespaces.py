"""Objects in the namespaces of an environment that do not belong there.

Labels do not prove where an object comes from, because a learner can set them. Flux's inventory
does prove it, because it is kept in a namespace where the learner has no rights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sopslab.checks.objects import kustomization, source, tenant
from sopslab.checks.snapshot import GOING, Snapshot, known
from sopslab.config.environment import Environment
from sopslab.model.objects import (
    Live,
    Object,
    identity,
    inventory,
    inventory_id,
    is_deleted,
    is_suspended,
)

# The kinds of objects that controllers make, each with the kinds of the objects for which they are
# made, as far as these are applied here.
_MAKERS = {
    "ReplicaSet": ("Deployment",),
    "Pod": ("ReplicaSet", "StatefulSet", "Job"),
    "ControllerRevision": ("StatefulSet",),
    "Job": ("CronJob",),
    "EndpointSlice": ("Service",),
    "Endpoints": ("Service",),
}
# What every namespace has. Istio or OpenShift makes the last four at once, and again if they are
# deleted.
_ALWAYS = {
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ServiceAccount", "builder"),
    ("ServiceAccount", "deployer"),
}
_DISOWNED = "kustomize.toolkit.fluxcd.io/"
# The metadata that identifies an object, its owners, and whether it is being deleted.
_KEPT = ("name", "namespace", "finalizers", "deletionTimestamp", "ownerReferences")


@dataclass(frozen=True)
class Stray:
    """An object in the learner's namespace that does not belong there. If the namespace is being
    deleted, every object in it counts as a stray. `made` is whether a controller has made the
    object for another object. `doomed` is whether its namespace is being deleted."""

    what: dict[str, Any]
    made: bool
    doomed: bool


@dataclass(frozen=True)
class InTheWay:
    """What is in the way in one environment.

    `going` are namespaces that are being deleted, `absent` are namespaces that are not there.
    `missing` are objects that Flux has applied and that are gone, by their names in Flux's
    inventory. `suspended` are sources and Kustomizations that are suspended. `waiting` are objects
    whose finalizers hold up the deletion of a namespace. `strays` are objects that do not belong in
    the learner's namespace. `untended` is whether the Kustomization that makes the environment is
    gone.
    """

    going: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    suspended: tuple[dict[str, Any], ...] = ()
    waiting: tuple[dict[str, Any], ...] = ()
    strays: tuple[Stray, ...] = ()
    untended: bool = False

    @property
    def is_blocked(self) -> bool:
        """Whether something has to be removed or resumed before Flux can do its part."""
        return bool(self.strays or self.going or self.suspended)


def in_the_way(seen: Snapshot) -> InTheWay:
    """Return what is in the way in an environment. Raises Undecided if something was not seen."""
    environment, contents, phases = seen.environment, known(seen.contents), known(seen.namespaces)
    maker, own = tenant(seen), kustomization(seen)
    names = (environment.namespace, environment.system)
    going = tuple(name for name in names if phases.get(name) == GOING)
    applied = inventory(maker) | inventory(own)
    here = f"{environment.namespace}_"
    tended = [one for one in (own, source(seen), maker if environment.is_seat else None) if one]
    is_going = environment.namespace in going
    return InTheWay(
        going=going,
        absent=tuple(name for name in names if name not in phases),
        missing=tuple(
            sorted(key for key in applied if key.startswith(here) and key not in contents)
        ),
        suspended=tuple(identity(one) for one in tended if is_suspended(one)),
        # The namespace is not deleted before Flux has removed its finalizers from these objects.
        waiting=tuple(
            identity(one)
            for one in contents.within(environment.system)
            if environment.system in going
            and one["metadata"].get("finalizers") is not None
            and not is_deleted(one)
        ),
        strays=tuple(_strays(environment, contents, inventory(maker), inventory(own), is_going)),
        untended=maker is None,
    )


def _strays(
    environment: Environment,
    live: Live,
    tenants: frozenset[str],
    owns: frozenset[str],
    going: bool,
) -> Iterator[Stray]:
    here = live.within(environment.namespace)
    by_uid = {one["metadata"].get("uid") or "": one for one in here}

    def makers(found: Object) -> Iterator[Object]:
        """Yield the objects for which a controller has made this object. An owner reference alone
        proves nothing, because a learner may write one: the owner has to exist and to be of a
        fitting kind."""
        metadata = found["metadata"]
        if found["kind"] == "Endpoints":
            owners = [live.get("Service", metadata["namespace"], metadata["name"])]
        else:
            owners = [
                by_uid.get(reference.get("uid") or "")
                for reference in metadata.get("ownerReferences") or []
                if reference.get("controller")
            ]
        for owner in owners:
            if owner is not None and owner["kind"] in _MAKERS.get(found["kind"], ()):
                yield owner

    def belongs(found: Object) -> bool:
        key = inventory_id(found)
        if key in tenants or (key in owns and not is_deleted(found) and not _is_disowned(found)):
            return True
        return any(belongs(maker) for maker in makers(found))

    for one in here:
        always = (one["kind"], one["metadata"]["name"]) in _ALWAYS
        if going or not (always or belongs(one)):
            yield Stray(_kept(one), any(True for _ in makers(one)), going)


def _is_disowned(found: Object) -> bool:
    annotations: Mapping[str, Any] = found["metadata"].get("annotations") or {}
    return any(name.startswith(_DISOWNED) for name in annotations)


def _kept(found: Object) -> dict[str, Any]:
    metadata = {key: found["metadata"][key] for key in _KEPT if key in found["metadata"]}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata}
