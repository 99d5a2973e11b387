"""Processor seconds: what a neighbour on the machine changes little, while seconds double.

Counted are the processes that the bench starts and waits for, and all that runs in the containers
that are named. Docker's own daemon is not, nor what a command leaves running in the background.
"""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cluster.lab import run

# Of cgroup v2 and v1, as a container sees its own.
_USAGE = (
    "cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpuacct/cpuacct.usage"
    " /sys/fs/cgroup/cpu,cpuacct/cpuacct.usage 2>/dev/null || true"
)


@dataclass(frozen=True)
class Spent:
    """What some work took: seconds on the clock, and processor seconds."""

    seconds: float
    processor: float


def measured(work: Callable[[], object], containers: Sequence[str]) -> Spent:
    """Return what `work` takes. A container that it makes counts from its beginning.

    + containers: the names of the containers that work for it
    """
    before = {name: _of_container(name) for name in containers}
    children, started = _of_children(), time.monotonic()
    work()
    seconds = time.monotonic() - started
    spent = _of_children() - children
    for name in containers:
        used = _of_container(name)
        # One that was made anew meanwhile has used less than the one before it.
        spent += used - before[name] if used >= before[name] else used
    return Spent(seconds, spent)


def usage(text: str) -> float:
    """Return the seconds that a container has used, as its cgroup says; 0 without an answer."""
    if found := re.search(r"^usage_usec (\d+)$", text, re.M):
        return int(found[1]) / 1e6
    if found := re.search(r"^(\d+)$", text, re.M):
        return int(found[1]) / 1e9
    return 0.0


def _of_container(name: str) -> float:
    return usage(run(["docker", "exec", name, "sh", "-c", _USAGE], check=False).stdout)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
