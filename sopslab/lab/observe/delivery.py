"""Whether Flux has done what the repositories say, for all environments in one look."""

from __future__ import annotations

from collections.abc import Iterable

from sopslab.checks.delivery import Pending, Wanted, pending
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.observe.objects import delivery_objects
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.kubectl import Kubectl


def deliveries(
    lab: Lab, environments: list[Environment], secrets: list[str]
) -> dict[str, list[Pending]]:
    """Return for each environment what Flux has not done yet; nothing of a cluster that does not
    answer.

    + secrets: names of Secrets that have to be there, in every environment
    """
    if not environments or not Kubectl(lab).answers():
        return {}
    return look(lab, wanted(lab, environments, secrets), environments)


def wanted(lab: Lab, environments: Iterable[Environment], secrets: list[str]) -> dict[str, Wanted]:
    """Return what each environment is to hold: main as it is now."""
    return {
        one.id: Wanted(Git(lab, bare_repository(lab, one)).ref(MAIN), frozenset(secrets))
        for one in environments
    }


def look(
    lab: Lab, wanted: dict[str, Wanted], environments: Iterable[Environment]
) -> dict[str, list[Pending]]:
    """Return for each environment what Flux has not done yet, as it is in the cluster now."""
    names = {name for one in wanted.values() for name in one.secrets}
    live = delivery_objects(lab, sorted(names))
    return {one.id: pending(one, live, wanted[one.id]) for one in environments}
