"""Lower the priority of long pushes, so that they do not hold up ordinary ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

LONG_SECONDS, LONG_BYTES = 1.0, 256 * 1024
"""A push is long after this many seconds, or bytes of its body; a lab's repository had 29 kB."""
WAY = 19
"""A long push's nice value: a short one gets seventy times its processor time (sched(7))."""


def make_way(processes: Iterable[int]) -> None:
    """Lower the priority of processes, some of which may have ended."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, WAY)


def make_group_way(group: int) -> None:
    """Lower the priority of every process of a group, and of all that they will start."""
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PGRP, group, WAY)
