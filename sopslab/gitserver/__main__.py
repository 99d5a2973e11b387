"""``python -m sopslab.gitserver ROOT PORT [CERTIFICATE]``: the container's first process.

It reaps every process that ends in the container, and ends when the server, its child, does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from sopslab.gitserver.server import Server


def main(root: str, port: str, certificate: str | None = None) -> int:
    """Serve until a signal comes and return the exit code."""
    child = os.fork()
    if not child:
        os.umask(0o007)
        pem = Path(certificate) if certificate else None
        asyncio.run(Server(Path(root)).serve(int(port), pem))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            return abs(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
