"""Whether a canary has arrived: what was encrypted and pushed is in the cluster, by its hash.

Ready alone would not prove it: it may be of before, and of another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sopslab.checks.causes import meaning
from sopslab.checks.delivery import applied_revision, has_applied
from sopslab.config.environment import Environment
from sopslab.layout import CANARY_PATH
from sopslab.model.canaries import PROVEN, CanaryState, Link, Progress
from sopslab.model.objects import Object, condition, is_suspended

# What no hash is like.
UNDECRYPTABLE = "undecryptable"


@dataclass(frozen=True)
class Canary:
    """What a repository holds and what arrived: the commit of main, and hashes of a value.

    `expected` is None where nothing can be expected: a canary that the learner changed or took out
    proves nothing; Flux has applied the commit then.
    """

    head: str | None
    expected: str | None = None
    live: str | None = None


def judge_canary(
    environment: Environment, own: Object | None, tenant: Object | None, seen: Canary | None
) -> CanaryState:
    """Return how far a canary is on its way.

    + own: the Kustomization that decrypts, None where it is not there
    + tenant: the one that makes the environment
    + seen: what was seen of the canary; None where nothing was applied that could have brought it
    """
    is_current = seen is not None and has_applied(own, seen.head)
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


# What was deleted, or gave up for a while, is begun again now and not at its interval.
STUCK_S = 5
# Flux is at work on those that wait: asked for them again, it would do all of it twice.
WAITED_S = 15
# What says for so long what is wrong is not waited for; what is on its way is.
HOPELESS_S = 16


def stuck(found: Mapping[str, CanaryState], unchanged: float) -> list[str]:
    """Return the environments for which Flux is to be asked again.

    + found: of those whose canary has not arrived, how far it is
    + unchanged: for how many seconds that has been so
    """
    if unchanged < STUCK_S:
        return []
    if unchanged >= WAITED_S:
        return list(found)
    return [one for one, state in found.items() if state.progress is Progress.FAILING]


def is_hopeless(found: Mapping[str, CanaryState], unchanged: float) -> bool:
    """Return whether no canary is on its way any more, and has not been for a while."""
    on_its_way = any(state.progress is Progress.WAITING for state in found.values())
    return not on_its_way and unchanged >= HOPELESS_S
