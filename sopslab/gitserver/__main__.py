"""``python -m sopslab.gitserver ROOT PORT [CERTIFICATE]``: the container's first process.

It has two children, the server and the judges of pushes, and ends when one of them does. It reaps
every process that ends in the container.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sopslab.gitserver import judges
from sopslab.gitserver.backend import JUDGES
from sopslab.gitserver.server import Server


def main(root: str, port: str, certificate: str | None = None) -> int:
    """Serve until a signal comes and return the exit code."""
    os.umask(0o007)
    pem = Path(certificate) if certificate else None
    # Whoever asks before the judges are there waits for them.
    asked = judges.listening(JUDGES)
    children = (
        _forked(lambda: judges.serve(Path(root), asked)),
        _forked(lambda: asyncio.run(Server(Path(root)).serve(int(port), pem))),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(children))
    while True:
        ended, status = os.wait()
        if ended in children:
            return abs(os.waitstatus_to_exitcode(status))


def _forked(work: Callable[[], object]) -> int:
    """Return the process that does some work, and ends with it."""
    child = os.fork()
    if not child:
        work()
        sys.exit()
    return child


def _end(processes: tuple[int, ...]) -> None:
    for process in processes:
        os.kill(process, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
