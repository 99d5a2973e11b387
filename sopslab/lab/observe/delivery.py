"""Whether Flux has delivered what is on main of the repositories, for all environments in one
look."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from sopslab.checks.delivery import Pending, Wanted, Why, pending
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.observe import environments as cluster
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.observe.copies import bring
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.programs import Failed
from sopslab.model.results import Undecided


def deliveries(
    lab: Lab, environments: list[Environment], secrets: list[str]
) -> dict[str, list[Pending]]:
    """Return for each environment what Flux has not done yet.

    + secrets: the names of the Secrets that every environment must have
    """
    return look(lab, wanted(lab, environments, secrets), environments) if environments else {}


def wanted(lab: Lab, environments: Iterable[Environment], secrets: list[str]) -> dict[str, Wanted]:
    """Return what Flux has to deliver to each environment: the present commit of main, and
    Secrets."""
    asked = list(environments)
    bring(lab, asked)
    return {one.id: Wanted(_main(lab, one), frozenset(secrets)) for one in asked}


def _main(lab: Lab, environment: Environment) -> str | None:
    """Return the commit of main. If the Git server is not the lab's own and does not answer, return
    the commit that was fetched last."""
    with suppress(Failed):
        Repository(lab, environment).refresh()
    return Git(lab, bare_repository(lab, environment)).ref(MAIN)


def look(
    lab: Lab, wanted: dict[str, Wanted], environments: Iterable[Environment]
) -> dict[str, list[Pending]]:
    """Return for each environment what Flux has not done yet, according to the cluster now. If the
    cluster cannot be asked, that is returned as the one thing pending."""
    names = {name for one in wanted.values() for name in one.secrets}
    try:
        seen = cluster.look(lab, environments, secrets=names)
        return {who: pending(one, wanted[who]) for who, one in seen.items()}
    except Undecided as reason:
        return {who: [Pending(Why.UNSEEN, reason.found)] for who in wanted}
