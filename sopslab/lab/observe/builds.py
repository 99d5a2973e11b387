"""What Flux is building right now, according to the status of its Kustomizations."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from sopslab.config.naming import seat_system_namespace
from sopslab.config.places import Lab
from sopslab.lab.observe.objects import all_kustomizations
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import KUSTOMIZATION, LAB_LABEL, SEAT_LABEL
from sopslab.model.builds import HELD_S, Build, Building, build_of
from sopslab.model.objects import Object, condition

# As Kubernetes writes a time.
TIME = "%Y-%m-%dT%H:%M:%SZ"

# A build takes milliseconds. In a class, where builds wait for one another, it takes a few seconds.
_NOTICED_S, _PATIENCE_S = 3, 20


def endless_build(lab: Lab) -> Building | None:
    """Return the oldest build that has not ended, if it has lasted 20 seconds; None if there is
    none that old. A build that has lasted 3 seconds is watched until it is over or that old.

    On an existing cluster, it may be somebody else's: the builds of all namespaces share the lock.
    """
    deadline = Deadline(_PATIENCE_S)
    while not deadline.is_over:
        found = oldest(all_kustomizations(lab))
        if found is None:
            return None
        one, build = found
        age = build.age(datetime.now(UTC))
        if age < _NOTICED_S:
            return None
        if age >= _PATIENCE_S:
            return _building(one, build)
        time.sleep(1)
    return None


def oldest(kustomizations: Iterable[Object]) -> tuple[Object, Build] | None:
    """Return the Kustomization whose build holds the lock that all builds share, and the build.

    It is the oldest of the builds that have not ended, so it is among these Kustomizations only if
    they are all that the cluster has.
    """
    found = [
        (one, build)
        for one in kustomizations
        if (build := build_of(condition(one, "Reconciling"))) is not None
    ]
    return min(
        found, key=lambda each: (each[1].since, each[0]["metadata"]["namespace"]), default=None
    )


def held_by(kustomizations: Iterable[Object], now: datetime) -> Object | None:
    """Return the Kustomization whose build all others wait for, if that build already takes longer
    than an ordinary one; else None.

    + kustomizations: all of the cluster
    """
    found = oldest(kustomizations)
    return None if found is None or found[1].age(now) <= HELD_S else found[0]


def seat_of(found: Object, lab: str) -> str:
    """Return the seat of a lab whose work a Kustomization applies; "" if it applies something
    else.

    + lab: the lab's name
    """
    metadata = found["metadata"]
    labels = metadata.get("labels") or {}
    seat = str(labels.get(SEAT_LABEL, ""))
    place = (labels.get(LAB_LABEL), metadata["namespace"], metadata["name"])
    return seat if place == (lab, seat_system_namespace(seat), KUSTOMIZATION) else ""


def _building(one: Object, build: Build) -> Building:
    named = one["metadata"]
    return Building(
        named["namespace"],
        named["name"],
        one["spec"]["sourceRef"]["name"],
        build.commit,
        f"{build.since:{TIME}}",
    )
