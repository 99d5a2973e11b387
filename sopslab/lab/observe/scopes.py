"""In which namespaces the lab lists objects.

A cluster that the lab did not make has others' namespaces, too. What is in those is not asked for,
except what `existing.py` has to know before the lab makes anything there.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sopslab.config.naming import seat_namespace
from sopslab.config.places import Places
from sopslab.course.chapter import UP
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import SEAT_LABEL
from sopslab.model.results import Undecided

EVERYWHERE = "--all-namespaces"
T = TypeVar("T")
# A selector travels in the address of a request, and a proxy before the API server may refuse an
# address of 8 KiB.
_LONGEST = 6000
_PATIENCE_S = 20
_AT_A_TIME = 8


@dataclass(frozen=True)
class Scope:
    """What a call of kubectl lists: the objects in one namespace, or in all of them, that a
    selector of fields chooses."""

    namespace: str | None = None
    fields: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments of kubectl."""
        space = (EVERYWHERE,) if self.namespace is None else ("--namespace", self.namespace)
        return (*space, "--field-selector", self.fields) if self.fields else space


def only_in(others: Iterable[str], wanted: Collection[str], fields: str = "") -> Sequence[Scope]:
    """Return what lists the objects in the wanted namespaces, and nothing in the others. That is
    one call of kubectl; if the others are too many to be named, it is one for each that is wanted.

    + others: namespaces in which nothing is listed, unless they are wanted
    + fields: a selector of fields
    """
    left_out = (f"metadata.namespace!={one}" for one in sorted({*others}.difference(wanted)))
    selector = ",".join([*([fields] if fields else []), *left_out])
    if len(selector) <= _LONGEST:
        return [Scope(None, selector)]
    return [Scope(one, fields) for one in sorted(wanted)]


def scopes_of(
    lab: Places, kubectl: Kubectl, wanted: Collection[str], fields: str = ""
) -> Sequence[Scope]:
    """Return what lists the objects in namespaces of the lab, and nothing in those of others.
    Objects of other seats may be listed, too. Raises Undecided if the namespaces cannot be listed.

    + fields: a selector of fields
    """
    if len(wanted) <= 1:
        return [Scope(one, fields) for one in wanted]
    if lab.cluster_provider == "kind":
        return [Scope(None, fields)]
    return only_in(namespaces(kubectl, f"!{SEAT_LABEL}"), wanted, fields)


def scopes_of_seats(lab: Places, kubectl: Kubectl) -> Sequence[Scope]:
    """Return what lists the objects in the namespaces where the learners of a class work, and
    nothing in those of others. Raises Undecided if the namespaces cannot be listed."""
    if lab.cluster_provider == "kind":
        return [Scope()]
    # In the other namespace of a seat, only objects with its label are asked for.
    own = fnmatch.filter(namespaces(kubectl, SEAT_LABEL), seat_namespace("*"))
    return only_in(namespaces(kubectl, f"!{SEAT_LABEL}"), own)


def namespaces(kubectl: Kubectl, selector: str = "") -> Sequence[str]:
    """Return the names of the cluster's namespaces. Raises Undecided if they cannot be listed.

    + selector: a selector of labels
    """
    asked = ("get", "namespaces", "--selector", selector, "--output", "name")
    try:
        said = kubectl.run(*asked, patience=_PATIENCE_S)
    except Failed:
        raise Undecided("the cluster could not be asked", UP) from None
    return [line.rpartition("/")[2] for line in said.decode().split()]


def gathered(scopes: Iterable[Scope], ask: Callable[[Scope], Iterable[T]]) -> list[T]:
    """Return what `ask` returns for each scope, together."""
    asked = list(scopes)
    if len(asked) == 1:
        return list(ask(asked[0]))
    # Imported here, because most looks need one call only.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_A_TIME) as executor:
        return [one for part in executor.map(ask, asked) for one in part]
