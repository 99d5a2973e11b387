"""What `up` would change in a lab that another product made, without a step of it."""

from __future__ import annotations

from sopslab.checks.recreation import cluster_plan
from sopslab.checks.takeover import takeover_plan
from sopslab.config.settings import Settings
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.observe.kind import cluster_state


def plan_takeover(settings: Settings, node_image: str) -> list[str]:
    """Return what becomes of the lab's files and of its cluster, in sentences; nothing for a lab
    that this product made.

    + node_image: what this product makes a node of

    Raises LabError where that cannot be seen.
    """
    lab = settings.for_machine
    plan = takeover_plan(lab_format(lab))
    if settings.cluster_provider == "kind":
        plan += cluster_plan(cluster_state(lab), node_image, recreate=settings.recreate)
    return plan
