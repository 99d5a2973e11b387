"""What is in the way in environments, in one look for all."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks.namespaces import InTheWay, in_the_way
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.objects import environment_objects
from sopslab.lab.tools.kubectl import Kubectl


def obstacles(lab: Lab, environments: list[Environment]) -> dict[str, InTheWay]:
    """Return what is in the way in each environment; nothing of a cluster that does not answer."""
    return look(lab, environments) if environments and Kubectl(lab).answers() else {}


def look(lab: Lab, environments: Sequence[Environment]) -> dict[str, InTheWay]:
    """Return what is in the way in each environment, as it is in the cluster now."""
    live = environment_objects(lab, environments)
    return {one.id: in_the_way(one, live) for one in environments}
