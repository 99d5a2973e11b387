"""Processor seconds, which change little while other work on the machine doubles the seconds.

The processes that the bench starts and waits for are counted, and everything in the containers that
are named. Docker's own daemon is not counted, nor what a command leaves running in the background.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.bench.profile import OURS, Profile, Steps, fold
from tests.bench.watching import Machine, watching
from tests.cluster.lab import Lab, run

NODE, GIT_SERVER = "node", "Git server"


@dataclass(frozen=True)
class Spent:
    """What some work took: seconds on the clock, processor seconds, and where they went."""

    seconds: float
    processor: float
    profile: Profile = field(default_factory=Profile, repr=False)


def measured(
    work: Callable[[], object],
    containers: Mapping[str, str],
    steps: Callable[[], Steps] = tuple,
) -> Spent:
    """Return what `work` takes. A container that the work makes counts from its beginning.

    Raises AssertionError if no process of this machine is in one of the containers.

    + containers: the containers that work for it, by name, and the group of each
    + steps: returns the steps of the work, after its end
    """
    machine = Machine(os.getpid())
    with watching(machine) as looks:
        work()
    names = _names() if containers else {}
    groups = {OURS: OURS} | {
        container: containers[name]
        for container, name in names.items()
        if name in containers and container in machine.containers
    }
    missing = containers.keys() - {names.get(container) for container in groups}
    if missing:
        raise AssertionError(f"no process of this machine is in {', '.join(sorted(missing))}")
    profile = fold(looks, groups, steps())
    return Spent(profile.seconds, profile.processor, profile)


def of_lab(lab: Lab) -> dict[str, str]:
    """Return the groups of the containers of a lab on kind, by the containers' names."""
    return {lab.node: NODE, lab.git_server: GIT_SERVER}


def _names() -> dict[str, str]:
    """Return the names of all containers by their ids."""
    form = ["--no-trunc", "--format", "{{.ID}} {{.Names}}"]
    lines = run(["docker", "ps", "--all", *form]).stdout.splitlines()
    return dict(line.split(maxsplit=1) for line in lines)
