"""Remove what is in the way in environments, finalizers included."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain

from sopslab.checks.namespaces import InTheWay, Stray
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.act.delivery import EVERYTHING, ask
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.namespaces import look
from sopslab.lab.observe.ownership import owner_labels
from sopslab.lab.tools.kubectl import MANAGER, Kubectl, listed
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import SEAT_LABEL
from sopslab.model.objects import Object, namespace
from sopslab.model.results import Undecided
from sopslab.model.suspension import SUSPENDED_BY

_LONGEST_S = 40
_RESUMED = json.dumps(
    {"metadata": {"annotations": {SUSPENDED_BY: None}}, "spec": {"suspend": None}}
)
_FREED = '{"metadata": {"finalizers": null}}'


def clear(lab: Lab, environments: list[Environment]) -> None:
    """Delete what Flux did not apply, resume what is suspended, and wait for the end of namespaces
    that are being deleted; then ask Flux to make what is missing. Record a failure for each
    environment that cannot be cleared."""
    deadline = Deadline(_LONGEST_S)
    found = look(lab, environments)
    while blocked := [one for one in environments if found[one.id].is_blocked]:
        if deadline.is_over:
            break
        clear_away(lab, [found[one.id] for one in blocked])
        time.sleep(0.3)
        # If the cluster does not answer for a moment, the last look counts.
        with suppress(Undecided):
            found.update(look(lab, blocked))
    for who, obstacle in found.items():
        if obstacle.is_blocked:
            fail(lab, who, f"its namespace could not be cleared: {_named(obstacle)}")
    _make_empty(lab, environments, found)
    ask(
        lab,
        {one: EVERYTHING for one in environments if found[one.id].missing or found[one.id].absent},
    )


def _named(obstacle: InTheWay) -> str:
    """Return in words the first thing that blocks an environment."""
    for name in obstacle.going:
        return f"the namespace {name} is still being deleted"
    left = [*obstacle.suspended, *(stray.what for stray in obstacle.strays)]
    return f"{left[0]['kind']}/{left[0]['metadata']['name']} would not go"


def clear_away(lab: Lab, found: Iterable[InTheWay]) -> None:
    """Act once on what is in the way; the next look shows whether that was enough.

    A finalizer is removed only from an object that is being deleted and whose controller does not
    come: a controller that is there has removed its finalizer by then.
    """
    cluster, obstacles = Kubectl(lab), list(found)
    strays = [stray for one in obstacles for stray in one.strays]
    suspended = list(chain.from_iterable(one.suspended for one in obstacles))
    waiting = list(chain.from_iterable(one.waiting for one in obstacles))
    gone = ["--ignore-not-found", "--wait=false"]
    _for_all(cluster, suspended, "patch", "--type", "merge", "--patch", _RESUMED)
    _for_all(cluster, waiting, "delete", *gone)
    # Owners first: otherwise they would make again what they own.
    standing = [one.what for one in strays if not _is_pod(one) and not _deleted(one)]
    standing.sort(key=lambda what: what["metadata"].get("ownerReferences") is not None)
    _for_all(cluster, standing, "delete", *gone)
    # Pods are ended at once, even if they are terminating already.
    pods = [one.what for one in strays if _is_pod(one)]
    _for_all(cluster, pods, "delete", *gone, "--grace-period=0", "--force")
    stuck = [one.what for one in strays if _is_stuck(one)]
    _for_all(cluster, stuck, "patch", "--type", "merge", "--patch", _FREED)
    going = [f"namespace/{name}" for one in obstacles for name in one.going]
    if going:
        # The controller that deletes a namespace tries again after eight seconds, or after five if
        # the namespace was changed.
        mark = f"sops-lab/reset={int(time.time())}"
        cluster.succeeds("annotate", "--overwrite", *going, mark)


def _for_all(cluster: Kubectl, objects: Sequence[Object], *arguments: str) -> None:
    if objects:
        cluster.succeeds(*arguments, "--filename", "-", stdin=listed(objects))


def _is_pod(stray: Stray) -> bool:
    return bool(stray.what["kind"] == "Pod")


def _deleted(stray: Stray) -> str | None:
    since: str | None = stray.what["metadata"].get("deletionTimestamp")
    return since


def _is_stuck(stray: Stray) -> bool:
    since = _deleted(stray)
    if since is None or stray.what["metadata"].get("finalizers") is None:
        return False
    if stray.doomed or _is_pod(stray):
        return True
    return datetime.fromisoformat(since) < datetime.now(UTC) - timedelta(seconds=1)


def _make_empty(lab: Lab, environments: Sequence[Environment], found: dict[str, InTheWay]) -> None:
    """Make the missing namespaces of seats, with nothing in them.

    Flux then sees at once what else is missing. If Flux was at work when a namespace was deleted,
    it waits a minute for that namespace to come back; an empty one is enough.
    """
    ours = owner_labels(lab)
    spaces = [
        namespace(name, {**ours, SEAT_LABEL: one.id})
        for one in environments
        if one.is_seat
        for name in found[one.id].absent
    ]
    _for_all(Kubectl(lab), spaces, "apply", "--server-side", "--field-manager", MANAGER)
