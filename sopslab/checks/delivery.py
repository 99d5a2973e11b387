"""Whether Flux has done what a repository says, and all it was asked for: only this place knows.

Ready alone is no proof: it may be of before. What counts is the commit that was read and applied,
by objects that Flux has seen in their present form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sopslab.checks.causes import meaning
from sopslab.config.environment import Environment
from sopslab.layout import FLUX_NAMESPACE, RECEIVER
from sopslab.model.objects import Live, Object, condition, is_deleted, is_suspended

_REQUESTED = "reconcile.fluxcd.io/requestedAt"


class Ask(StrEnum):
    """What of an environment Flux can be asked to look at again."""

    TENANT = "tenant"
    SOURCE = "source"
    OWN = "own"
    RECEIVER = "receiver"
    # What was read is applied without being asked for; being asked, Flux would begin again.
    LATE = "late"


@dataclass(frozen=True)
class Pending:
    """Something that Flux has not done yet, and what to ask it for that; None if it is at it."""

    said: str
    ask: Ask | None = None


@dataclass(frozen=True)
class Wanted:
    """What an environment is to hold: the commit of main, and Secrets that have to be there."""

    head: str | None
    secrets: frozenset[str] = frozenset()


def pending(environment: Environment, live: Live, wanted: Wanted) -> list[Pending]:
    """Return what of an environment Flux has not done yet, nothing where all has arrived.

    + live: the Flux objects of the environment, its namespaces, and the Secrets that are awaited
    """
    return [
        *_made(environment, live),
        *(reading := list(_read(environment, live, wanted))),
        *_applied(environment, live, wanted, is_read=not reading),
    ]


def _made(environment: Environment, live: Live) -> Iterator[Pending]:
    if environment.is_seat:
        tenant = live.get("Kustomization", FLUX_NAMESPACE, environment.tenant)
        yield from _open(tenant, environment.tenant, environment.namespace, Ask.TENANT)
    for name in (environment.namespace, environment.system):
        namespace = live.get("Namespace", "", name)
        if namespace is None:
            yield Pending(f"the namespace {name} is not there", Ask.TENANT)
        elif is_deleted(namespace):
            yield Pending(f"the namespace {name} is being deleted")


def _read(environment: Environment, live: Live, wanted: Wanted) -> Iterator[Pending]:
    source = live.get("GitRepository", environment.system, environment.source)
    for found in _open(source, f"the GitRepository {environment.source}", "", Ask.SOURCE):
        yield found
        return
    status = (source or {}).get("status") or {}
    if (status.get("artifact") or {}).get("revision") != _revision(wanted):
        yield Pending(f"Flux has not read {_short(wanted)} yet", Ask.SOURCE)


def _applied(
    environment: Environment, live: Live, wanted: Wanted, *, is_read: bool
) -> Iterator[Pending]:
    # What is read anew is applied without being asked for.
    ask = Ask.OWN if is_read else None
    own = live.get("Kustomization", environment.system, environment.kustomization)
    yield from _first(_of_own(environment, own, live, wanted, ask))
    receiver = live.get("Receiver", environment.system, RECEIVER)
    yield from _open(receiver, f"the Receiver {RECEIVER}", "", Ask.RECEIVER)


def _of_own(
    environment: Environment, own: Object | None, live: Live, wanted: Wanted, ask: Ask | None
) -> Iterator[Pending]:
    yield from _open(own, environment.kustomization, environment.namespace, ask)
    status: Mapping[str, object] = (own or {}).get("status") or {}
    if status.get("lastAppliedRevision") != _revision(wanted):
        late = Ask.LATE if ask is not None else None
        yield Pending(f"Flux has not applied {_short(wanted)} yet", late)
    for name in sorted(wanted.secrets):
        if live.get("Secret", environment.namespace, name) is None:
            yield Pending(f"the Secret {name} is not in {environment.namespace}", ask)


def _first(found: Iterator[Pending]) -> Iterator[Pending]:
    for one in found:
        yield one
        return


def _open(found: Object | None, name: str, arrives: str, ask: Ask | None) -> Iterator[Pending]:
    """Yield what an object of Flux has not done yet, or is not."""
    if found is None:
        yield Pending(f"{name} is not there", ask)
    elif is_deleted(found):
        yield Pending(f"{name} is being deleted", ask)
    elif is_suspended(found):
        yield Pending(f"{name} is suspended", ask)
    elif _is_at_work(found):
        yield Pending(f"{name} is being looked at")
    elif condition(found, "Ready").get("status") != "True":
        told = meaning(found["kind"], condition(found, "Ready"), found["metadata"]["name"], arrives)
        yield Pending(f"{name} is not ready: {told}", ask)


def _is_at_work(found: Object) -> bool:
    status = found.get("status") or {}
    asked = (found["metadata"].get("annotations") or {}).get(_REQUESTED)
    return (
        status.get("observedGeneration") != found["metadata"].get("generation")
        or (asked is not None and asked != status.get("lastHandledReconcileAt"))
        or condition(found, "Ready").get("status") == "Unknown"
    )


def _revision(wanted: Wanted) -> str:
    return f"main@sha1:{wanted.head or 'none'}"


def _short(wanted: Wanted) -> str:
    return (wanted.head or "none")[:7]
