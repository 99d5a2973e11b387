"""A process, and whatever it has started."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def descendants(top: int) -> list[int]:
    """Return the processes that a process has started, those that these have started, and so on.

    A process whose parent has ended counts for nobody, unless the parent's own parent takes it
    (PR_SET_CHILD_SUBREAPER).
    """
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                # It has ended, or is another user's (hidepid, proc(5)).
                continue
            # The name, in brackets, may hold anything; the state and the parent come after it.
            parent = int(stat.rpartition(b")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, pending = [], [top]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def kill_all(pids: list[int]) -> None:
    """Kill processes. Some may have ended, and some may be another user's: these stay."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_with_descendants(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that was started here, and whatever it has started.

    git, for one, has another program transfer what it fetches. That one would wait as long as its
    server does, and would keep open the pipes from which this process reads.
    """
    # Once the program has ended, its number may be another's.
    if process.poll() is not None:
        return
    below = descendants(process.pid)
    # The program first: a shell would start the next command in place of one that was killed.
    with suppress(PermissionError):
        process.kill()
    kill_all(below)
