"""Whether Flux has done everything that a repository says and that it was asked for. Only this
module decides that.

The condition Ready alone is no proof, because it may be older than the last change. What counts is
which commit Flux's objects have read and applied, once Flux has seen their present form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sopslab.checks.causes import meaning
from sopslab.checks.objects import kustomization, named, source, tenant
from sopslab.checks.snapshot import GOING, Snapshot, known
from sopslab.layout import RECEIVER
from sopslab.model.objects import Object, condition, is_deleted, is_suspended

_REQUESTED = "reconcile.fluxcd.io/requestedAt"


class Ask(StrEnum):
    """The object of an environment that Flux is to be asked to look at again."""

    TENANT = "tenant"
    SOURCE = "source"
    OWN = "own"
    RECEIVER = "receiver"
    # The environment's Kustomization, to be asked only if it takes long: Flux applies a new commit
    # without being asked, and a request meanwhile would make it begin again.
    LATE = "late"


class Why(StrEnum):
    """Why Flux has not done something.

    An object is missing, or in a wrong state. If it is `unseen`, Flux has not looked at its present
    form. If it is `busy`, Flux is at work on it. If it is `behind`, it is ready, but with another
    commit.
    """

    MISSING = "missing"
    DELETED = "deleted"
    SUSPENDED = "suspended"
    UNSEEN = "unseen"
    BUSY = "busy"
    NOT_READY = "not-ready"
    BEHIND = "behind"


@dataclass(frozen=True)
class Pending:
    """Something that Flux has not done yet. `ask` is the object to ask it for, None if asking is of
    no use, because Flux is at it already or waits for something else."""

    why: Why
    said: str
    ask: Ask | None = None


@dataclass(frozen=True)
class Wanted:
    """What an environment has to have: the commit of main, and the names of Secrets."""

    head: str | None
    secrets: frozenset[str] = frozenset()


def pending(seen: Snapshot, wanted: Wanted) -> list[Pending]:
    """Return what Flux has not done yet in an environment, including requests to Flux; empty if
    everything has arrived. Raises Undecided if something was not seen."""
    read = reading(seen, wanted.head, heed=True)
    receiver = named(known(seen.receivers), RECEIVER)
    found = [
        *_made(seen),
        read,
        # Flux applies a new commit without being asked, once it has read it.
        _applied(seen, wanted, Ask.OWN if read is None else None),
        standing(receiver, f"the Receiver {RECEIVER}", ask=Ask.RECEIVER, heed=True),
    ]
    return [one for one in found if one is not None]


def reading(seen: Snapshot, head: str | None, *, heed: bool = False) -> Pending | None:
    """Return why Flux has not read a commit of main, None if it has read it.

    + heed: whether a request to Flux that is not done yet counts, too
    """
    found, name = source(seen), f"the GitRepository {seen.environment.source}"
    open_one = standing(found, name, ask=Ask.SOURCE, heed=heed)
    if open_one is None and not has_read(found, head):
        return Pending(Why.BEHIND, f"Flux has not read {_short(head)} yet", Ask.SOURCE)
    return open_one


def applying(
    seen: Snapshot, head: str | None, *, ask: Ask | None = None, heed: bool = False
) -> Pending | None:
    """Return why Flux has not applied a commit of main, None if it has applied it.

    + ask, heed: as for `standing`
    """
    found, environment = kustomization(seen), seen.environment
    open_one = standing(found, environment.kustomization, environment.namespace, ask=ask, heed=heed)
    if open_one is None and not has_applied(found, head):
        late = Ask.LATE if ask is not None else None
        return Pending(Why.BEHIND, f"Flux has not applied {_short(head)} yet", late)
    return open_one


def has_read(found: Object | None, head: str | None) -> bool:
    """Return whether this commit of main is the last that a source has read."""
    return read_revision(found) == _revision(head)


def has_applied(found: Object | None, head: str | None) -> bool:
    """Return whether this commit of main is the last that a Kustomization has applied."""
    return applied_revision(found) == _revision(head)


def read_revision(found: Object | None) -> str:
    """Return the revision that a source has read last, as Flux writes it; empty if there is
    none."""
    artifact = ((found or {}).get("status") or {}).get("artifact") or {}
    return str(artifact.get("revision") or "")


def applied_revision(found: Object | None) -> str:
    """Return the revision that a Kustomization has applied last; empty if there is none."""
    return str(((found or {}).get("status") or {}).get("lastAppliedRevision") or "")


def in_words(revision: str) -> str:
    """Return a revision, as Flux writes it, in words: the commit and its branch."""
    branch, _, commit = revision.partition("@")
    return f"{commit.partition(':')[2][:7] or 'something else'} of {branch}"


def is_at_work(found: Object) -> bool:
    """Return whether Flux is at work on an object, or still has to look at its present form, or has
    not yet done what it was asked for."""
    return _is_unseen(found, heed=True) or _ready(found) == "Unknown"


def standing(
    found: Object | None,
    name: str,
    arrives: str = "",
    *,
    ask: Ask | None = None,
    heed: bool = False,
) -> Pending | None:
    """Return why an object of Flux is not ready in its present form, None if it is.

    + name: what a sentence calls the object
    + arrives: the namespace of the objects that it applies, for sentences about those
    + ask: what to ask Flux for if the object is not ready
    + heed: whether a request to Flux that is not done yet counts, too
    """
    if found is None:
        return Pending(Why.MISSING, f"{name} is not there", ask)
    if is_deleted(found):
        return Pending(Why.DELETED, f"{name} is being deleted", ask)
    if is_suspended(found):
        return Pending(Why.SUSPENDED, f"{name} is suspended", ask)
    if _is_unseen(found, heed=heed):
        return Pending(Why.UNSEEN, f"{name} is being looked at")
    if _ready(found) == "Unknown":
        return Pending(Why.BUSY, f"{name} is being looked at")
    if _ready(found) != "True":
        told = meaning(found["kind"], condition(found, "Ready"), found["metadata"]["name"], arrives)
        return Pending(Why.NOT_READY, f"{name} is not ready: {told}", ask)
    return None


def _made(seen: Snapshot) -> Iterator[Pending | None]:
    environment, namespaces = seen.environment, known(seen.namespaces)
    if environment.is_seat:
        name, arrives = environment.tenant, environment.namespace
        yield standing(tenant(seen), name, arrives, ask=Ask.TENANT, heed=True)
    for name in (environment.namespace, environment.system):
        if name not in namespaces:
            yield Pending(Why.MISSING, f"the namespace {name} is not there", Ask.TENANT)
        elif namespaces[name] == GOING:
            yield Pending(Why.DELETED, f"the namespace {name} is being deleted")


def _applied(seen: Snapshot, wanted: Wanted, ask: Ask | None) -> Pending | None:
    open_one = applying(seen, wanted.head, ask=ask, heed=True)
    lacking = sorted(wanted.secrets - known(seen.live).keys()) if wanted.secrets else []
    if open_one is None and lacking:
        said = f"the Secret {lacking[0]} is not in {seen.environment.namespace}"
        return Pending(Why.MISSING, said, ask)
    return open_one


def _is_unseen(found: Object, *, heed: bool) -> bool:
    metadata, status = found["metadata"], found.get("status") or {}
    asked = (metadata.get("annotations") or {}).get(_REQUESTED) if heed else None
    return status.get("observedGeneration") != metadata.get("generation") or (
        asked is not None and asked != status.get("lastHandledReconcileAt")
    )


def _ready(found: Object) -> object:
    return condition(found, "Ready").get("status")


def _revision(head: str | None) -> str:
    return f"main@sha1:{head or 'none'}"


def _short(head: str | None) -> str:
    return (head or "none")[:7]
