"""Long pushes make way for short ones: an ordinary push is not held up by large ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

LONG_SECONDS, LONG_BYTES = 1.0, 256 * 1024
"""After so many seconds, or bytes of its body, a push is long; a lab's repository had 29 kB."""
WAY = 19
"""How nice a long push is: a short one gets seventy times as much of a processor (sched(7))."""


def make_way(processes: Iterable[int]) -> None:
    """Lower the priority of processes, some of which may have ended."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, pid, WAY)


def make_group_way(group: int) -> None:
    """Lower the priority of every process of a group, and of all that they will start."""
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PGRP, group, WAY)
