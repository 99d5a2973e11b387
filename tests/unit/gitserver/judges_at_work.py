"""Judges of pushes, as a process of their own: the real ones, or stand-ins.

``python -m tests.unit.gitserver.judges_at_work ROOT ADDRESS [WORK SECONDS]``: with WORK, a function
of this module takes the place of the judgement. It is called with what git tells the hook, may take
SECONDS, and returns the hook's exit code.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sopslab.gitserver import judges, receive
from sopslab.gitserver.niceness import WAY

# Longer than any test, and no child of a killed test stays for long.
_SLEEP = ["setsid", "sleep", "61"]


def hangs(given: str) -> NoReturn:
    """Start a process in a session of its own, write its number to the file `given`, never end."""
    child = subprocess.Popen(_SLEEP)
    Path(given).write_text(str(child.pid))
    while True:
        time.sleep(1)


def answers(given: str) -> int:
    """Return the number `given`. Raises ValueError if that is none."""
    return int(given)


def repeats(given: str) -> int:
    """Print what the hook was given, and the folder, environment and priority that it has."""
    print(given, Path.cwd(), os.environb[b"PUSHED"], os.environ.get("OURS"), os.getpriority(0, 0))
    os.environ["PUSHED"] = "another"
    return 3


def is_bound(_: str) -> bool:
    """Return whether the judgement's memory is bounded."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def is_left_alone(given: str) -> int:
    """Write its own number to the file `given`, kill its supervisor, and go on."""
    Path(given).write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(61)
    return 0


def says(given: str) -> int | None:
    """Print a word to a stream, and return an answer; `given` has the name and the number."""
    stream, answer = given.split()
    print("said", file=getattr(sys, stream), end="")
    return None if answer == "None" else int(answer)


def makes_way(_: str) -> bool:
    """Return whether it or its child keeps its priority for 20 s."""
    child = subprocess.Popen(_SLEEP)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if [os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, child.pid)] == [WAY, WAY]:
            return False
        time.sleep(0.05)
    return True


def takes_too_much(_: str) -> int:
    """Return 3 if the kernel would not end it first where memory runs out, else end as then."""
    if Path("/proc/self/oom_score_adj").read_text() != "1000\n":
        return 3
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def has_no_process_at_first(_: str) -> int:
    """Accept the push. For the first one no process could be started."""
    return 0


WORKS: dict[str, Callable[[str], int | None]] = {
    work.__name__: work
    for work in (
        hangs, answers, repeats, is_bound, is_left_alone, says, makes_way, takes_too_much,
        has_no_process_at_first,
    )
}  # fmt: skip


def _put(work: Callable[[str], int | None], seconds: float) -> None:
    """Put a stand-in in the place of the judgement."""

    def main(root: Path, asker: socket.socket) -> int:
        # Whatever a stand-in returns becomes an exit code, as with the judgement itself.
        return receive.supervised(lambda: work(sys.stdin.read()), seconds, asker)  # type: ignore[arg-type, return-value]

    receive.main = main
    if work is has_no_process_at_first:
        os.fork = _once_refused(os.fork)


def _once_refused(fork: Callable[[], int]) -> Callable[[], int]:
    def refused() -> int:
        os.fork = fork
        raise BlockingIOError(11, "no process is left")

    return refused


if __name__ == "__main__":
    root, address, *instead = sys.argv[1:]
    if instead:
        _put(WORKS[instead[0]], float(instead[1]))
    judges.serve(Path(root), judges.listening(address))
