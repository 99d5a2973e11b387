"""What `up` would change in a lab that another product made, without a step of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sopslab.checks.recreation import cluster_plan
from sopslab.checks.takeover import takeover_plan
from sopslab.lab.observe.kind import cluster_state
from sopslab.model.formats import Format

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


def plan_takeover(settings: Settings, found: Format | None, node_image: str) -> list[str]:
    """Return what becomes of the lab's files and of its cluster, in sentences; nothing for a lab
    that this product made.

    + found: the format of the lab, None without a lab
    + node_image: what this product makes a node of

    Raises LabError if that cannot be seen.
    """
    plan = takeover_plan(found)
    if settings.cluster_provider == "kind":
        state = cluster_state(settings.for_machine)
        plan += cluster_plan(state, node_image, recreate=settings.recreate)
    return plan
