"""Bring the cluster to what the re-encrypted files say: wait, ask Flux, restart workloads."""

from __future__ import annotations

import time

from sopslab.checks.delivery import Ask
from sopslab.checks.rotation import RESTARTED_FOR
from sopslab.checks.snapshot import known
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.act import delivery
from sopslab.lab.act.failures import fail, told
from sopslab.lab.observe.live import live_values
from sopslab.lab.observe.settling import settling_objects
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline, wait_until
from sopslab.model.results import Undecided
from sopslab.model.rotation import Delivered, LiveValue

_SETTLING_S = 20
_ARRIVING_S = 30


def settle(lab: Lab, environments: list[Environment]) -> None:
    """Wait until Flux is done with what it was told last, but no longer than 20 seconds."""
    wait_until(lambda: not settling_objects(lab, environments), _SETTLING_S, pause=0.2)


def ask(lab: Lab, environments: list[Environment]) -> None:
    """Ask Flux to decrypt again, with the files and keys that it has now."""
    delivery.ask(lab, {one: [Ask.OWN] for one in environments})


def await_values(
    lab: Lab, environments: list[Environment], files: dict[str, list[Delivered]]
) -> None:
    """Wait until the cluster holds the values of files; record a failure for each learner with a
    value that still differs after 30 seconds. Raises Undecided if the cluster does not show its
    Secrets then.

    + files: the files of each learner, by the learner's id
    """
    deadline = Deadline(_ARRIVING_S)
    while (left := _differing(lab, environments, files)) and not deadline.is_over:
        time.sleep(0.5)
    for learner, path in known(left):
        fail(lab, learner, f"the cluster has another value than {path}")


def _differing(
    lab: Lab, environments: list[Environment], files: dict[str, list[Delivered]]
) -> list[tuple[str, str]] | Undecided:
    """Return the files whose values the cluster does not have, by learner and path, or why this is
    not seen."""
    try:
        seen = live_values(lab, environments, files)
    except Undecided as reason:
        return reason
    return [
        (learner, path)
        for learner, paths in seen.items()
        for path, how in paths.items()
        if how is LiveValue.DIFFERS
    ]


def restart(
    lab: Lab, environments: list[Environment], incident: str, workloads: dict[str, list[str]]
) -> None:
    """Restart workloads, once for each incident; record a failure for each learner with a workload
    that cannot be restarted.

    + workloads: such as `deployment/web`, by the learner's id
    """
    template = {"metadata": {"annotations": {RESTARTED_FOR: incident}}}
    patch = {"spec": {"template": template}}
    for one in environments:
        for workload in workloads.get(one.id, []):
            kind, _, name = workload.partition("/")
            try:
                Kubectl(lab).patch(kind, name, one.namespace, patch)
            except Failed as failure:
                fail(lab, one.id, f"{workload} could not be restarted: {told(failure)}")
