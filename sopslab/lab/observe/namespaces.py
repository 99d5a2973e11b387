"""What is in the way of the lab in the namespaces of environments, in one look for all."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks.namespaces import InTheWay, in_the_way
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import look_into
from sopslab.model.results import Undecided


def obstacles(lab: Lab, environments: list[Environment]) -> dict[str, InTheWay]:
    """Return what is in the way in each environment; nothing if the cluster does not answer."""
    try:
        return look(lab, environments) if environments else {}
    except Undecided:
        return {}


def look(lab: Lab, environments: Sequence[Environment]) -> dict[str, InTheWay]:
    """Return what is in the way in each environment, according to the cluster now. Raises Undecided
    if this cannot be seen."""
    return {who: in_the_way(one) for who, one in look_into(lab, environments).items()}
