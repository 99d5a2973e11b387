"""Which namespaces of the cluster a report is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopslab.config.naming import git_namespace
from sopslab.errors import LabError
from sopslab.lab.observe.existing import lab_namespaces
from sopslab.lab.observe.git_pod import has_own_namespace
from sopslab.lab.observe.scopes import Scope, namespaces, only_in
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass(frozen=True)
class Coverage:
    """The namespaces that a report is about, None if it is about all of them; and what lists the
    objects in them, and in no others."""

    namespaces: Sequence[str] | None
    scopes: Sequence[Scope]

    def has(self, namespace: str) -> bool:
        """Whether the report is about a namespace."""
        return self.namespaces is None or namespace in self.namespaces


def cover(settings: Settings) -> Coverage:
    """Return what a report on a lab is about: the whole cluster if the lab has made it, and else
    the lab's own namespaces. Raises Undecided if the cluster does not say which those are."""
    if settings.cluster_provider == "kind":
        return Coverage(None, [Scope()])
    lab = settings.for_machine
    kubectl = Kubectl(lab)
    try:
        own, with_git = lab_namespaces(lab), has_own_namespace(lab, kubectl)
    except LabError as error:
        raise Undecided(str(error)) from None
    if own is None:
        raise Undecided("the cluster does not say which namespaces are the lab's")
    found = [*own, git_namespace(lab.lab)] if with_git else own
    return Coverage(found, only_in(namespaces(kubectl), found))
