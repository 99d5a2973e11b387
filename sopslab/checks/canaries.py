"""Whether a canary has arrived: the cluster has the value that was encrypted and pushed. Hashes are
compared.

The condition Ready alone is no proof, because it may be older and about another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sopslab.checks.causes import meaning
from sopslab.checks.delivery import applied_revision, has_applied
from sopslab.checks.objects import kustomization, named, source
from sopslab.checks.snapshot import Snapshot, known
from sopslab.config.environment import Environment
from sopslab.layout import CANARY_PATH
from sopslab.model.canaries import PROVEN, CanaryState, Link, Progress
from sopslab.model.objects import Object, condition, is_suspended
from sopslab.model.results import Undecided

# Stands for the hash of a canary that cannot be decrypted. It equals no hash.
UNDECRYPTABLE = "undecryptable"


@dataclass(frozen=True)
class Canary:
    """What a repository has, and what has arrived in the cluster. `head` is the commit of main;
    `expected` and `live` are hashes of the value in the repository and in the cluster. `is_gone`
    says whether the namespace was deleted, or is being deleted with the canary in it.

    `expected` is None if the learner has removed the canary, taken it off the list or, at a seat,
    changed it. Then the canary proves nothing, and only the commit has to be applied.
    """

    head: str | None
    expected: str | None = None
    live: str | None = None
    is_gone: bool = False


def judge_canary(
    environment: Environment, own: Object | None, tenant: Object | None, seen: Canary | None
) -> CanaryState:
    """Return how far a canary is on its way.

    + own: the Kustomization that decrypts, None if it is not there
    + tenant: the Kustomization that makes the environment
    + seen: what was seen of the canary, None if Flux has not yet applied anything with it
    """
    is_current = seen is not None and has_applied(own, seen.head)
    if seen is not None and seen.is_gone:
        # After a node was stopped, the cluster and Flux take up to a minute each to get to it.
        said = f"the namespace {environment.namespace} was deleted, and Flux has to make it again"
        return CanaryState(Progress.WAITING, said, Link.VALUE)
    if seen is not None and is_current and seen.expected in (None, seen.live):
        return PROVEN
    link = Link.COMMIT if applied_revision(own) else Link.BEGINNING
    if seen is not None and is_current:
        link = Link.KEY if seen.expected == UNDECRYPTABLE else Link.VALUE
    return _on_its_way(environment, own, tenant, link)


def _on_its_way(
    environment: Environment, own: Object | None, tenant: Object | None, link: Link
) -> CanaryState:
    told = own if own is not None else tenant
    if told is None:
        return CanaryState(Progress.WAITING, "Flux has not begun", link)
    ready = condition(told, "Ready")
    if is_suspended(told):
        return CanaryState(Progress.FAILING, "it is suspended", link)
    said = meaning("Kustomization", ready, told["metadata"]["name"], environment.namespace)
    if ready.get("status") == "False":
        return CanaryState(Progress.FAILING, said, link)
    if link is Link.KEY:
        said = f"the store's key cannot decrypt {CANARY_PATH}"
        return CanaryState(Progress.FAILING, said, link)
    if link is Link.VALUE:
        return CanaryState(Progress.FAILING, "lab-canary holds another value", link)
    if ready.get("status") == "True" and own is None:
        said = f"the Kustomization {environment.kustomization} is missing"
        return CanaryState(Progress.FAILING, said, link)
    return CanaryState(Progress.WAITING, said, link)


# After this long without a change, Flux is asked again for canaries that have failed: otherwise a
# deleted object, or one that waits for a retry, would be left to its interval.
STUCK_S = 5
# After this long, Flux is also asked again for canaries that are on their way. Earlier, Flux may
# still be at work on them, and would do everything twice.
WAITED_S = 15
# After this long, canaries that have all failed are given up; while one is on its way, none is.
HOPELESS_S = 16
# The first canary of a lab gets more time, because Flux's controllers may not have started yet.
FIRST_S = 60


def stuck(found: Mapping[str, CanaryState], unchanged: float) -> list[str]:
    """Return the environments for which to ask Flux again.

    + found: how far each canary that has not arrived is, by environment
    + unchanged: for how many seconds nothing has changed
    """
    if unchanged < STUCK_S:
        return []
    if unchanged >= WAITED_S:
        return list(found)
    return [one for one, state in found.items() if state.progress is Progress.FAILING]


def is_hopeless(found: Mapping[str, CanaryState], unchanged: float, *, is_first: bool) -> bool:
    """Return whether all canaries have failed, and nothing has changed for a while.

    + is_first: whether no other canary has shown that Flux works
    """
    on_its_way = any(state.progress is Progress.WAITING for state in found.values())
    return not on_its_way and unchanged >= (FIRST_S if is_first else HOPELESS_S)


_CONTROLLERS = ("source-controller", "kustomize-controller")
_READY = "ready"
_CLOSER = "`sopslab doctor` looks closer"


def lost(seen: Snapshot, link: Link) -> str:
    """Return in words where the canary of a lab without a class gets lost: the first broken link on
    its way.

    + seen: a look at everything on the way
    + link: the link that was missing at the last look at the canary
    """
    try:
        return _broken(seen, link)
    except Undecided as reason:
        return reason.found


def _broken(seen: Snapshot, link: Link) -> str:
    environment = seen.environment
    if known(seen.cluster).trouble is not None:
        return "the API server does not answer"
    for controller in _CONTROLLERS:
        found = named(known(seen.controllers), controller)
        if not ((found or {}).get("status") or {}).get("readyReplicas"):
            return (
                f"{controller} is not ready: `kubectl --namespace {environment.system} logs"
                f" deployment/{controller}` has its last words"
            )
    said = _told(source(seen), environment)
    if said != _READY:
        said = said or "its source is not there"
        return f"Flux cannot read the repository: {said}; {_CLOSER}"
    if not known(seen.key).present:
        return f"the decryption key sops-age is missing in {environment.system}"
    said = _told(kustomization(seen), environment)
    if said != _READY:
        return f"{environment.kustomization} is not ready: {said or 'it is not there'}; {_CLOSER}"
    if link is Link.KEY:
        return f"the store's key cannot decrypt {CANARY_PATH}"
    return (
        f"{environment.kustomization} is Ready, but lab-canary holds another value than the"
        " repository"
    )


def _told(found: Object | None, environment: Environment) -> str | None:
    """Return what one of Flux's objects reports, in words; None if the object is not there."""
    if found is None:
        return None
    name = found["metadata"]["name"]
    return meaning(found["kind"], condition(found, "Ready"), name, environment.namespace)
