"""What lies in the namespaces of an environment and does not belong there.

An object's labels do not prove whose it is: a learner can set those. Flux's own record proves it,
in a namespace where the learner has no right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sopslab.checks.rules.objects import kustomization, source, tenant
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

# The kinds whose controllers make objects of a kind, among the kinds that are applied.
_MAKERS = {
    "ReplicaSet": ("Deployment",),
    "Pod": ("ReplicaSet", "StatefulSet", "Job"),
    "ControllerRevision": ("StatefulSet",),
    "Job": ("CronJob",),
    "EndpointSlice": ("Service",),
    "Endpoints": ("Service",),
}
# What every namespace has, the last four where Istio or OpenShift makes them, at once and anew.
_ALWAYS = {
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ConfigMap", "openshift-service-ca.crt"),
    ("ServiceAccount", "builder"),
    ("ServiceAccount", "deployer"),
}
_DISOWNED = "kustomize.toolkit.fluxcd.io/"
# What tells one object from another, and whether it is waiting to be deleted.
_KEPT = ("name", "namespace", "finalizers", "deletionTimestamp", "ownerReferences")


@dataclass(frozen=True)
class Stray:
    """An object that Flux has not applied; `made` if a controller has made it for another object,
    and `doomed` if its namespace is being deleted."""

    what: dict[str, Any]
    made: bool
    doomed: bool


@dataclass(frozen=True)
class InTheWay:
    """What is in the way in one environment.

    `going` and `absent` are namespaces that are being deleted, or are not there; `missing` is what
    Flux has applied and is not there any more, by its name in Flux's inventory; `suspended` what
    Flux was told to leave alone; `waiting` what a namespace that is being deleted waits for; and
    `strays` what is in the namespace and not applied by Flux. `untended` is whether the
    Kustomization that makes the environment is gone.
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
        """Whether something has to go, or to be resumed, before Flux can do its part."""
        return bool(self.strays or self.going or self.suspended)


def in_the_way(seen: Snapshot) -> InTheWay:
    """Return what is in the way in an environment. Raises Undecided for what was not seen."""
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
        # The namespace waits for Flux's finalizers, and longer if Flux comes to them later.
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
        """Yield the objects for which a controller has made this one. That it says so is not
        enough, because a learner may write it: a maker of that kind has to be there."""
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
