"""Prints the TCP ports of an address that accept a connection, as JSON; a program of its own, so
that it can run in a network namespace.

python -m tests.cluster.scan ADDRESS [PORT …]
"""

from __future__ import annotations

import errno
import json
import select
import socket
import sys
import time
from collections.abc import Iterable

# How many sockets are open at once, far below what a process may have; how many seconds they get.
_AT_ONCE = 400
_PATIENCE = 2.0


def scan(address: str, ports: Iterable[int]) -> list[int]:
    """Return the ports that accept a connection; one that answers nothing within 2 s is closed."""
    remaining, found = list(ports), []
    while remaining:
        batch, remaining = remaining[:_AT_ONCE], remaining[_AT_ONCE:]
        found += _accepting(address, batch)
    return sorted(found)


def _accepting(address: str, ports: list[int]) -> list[int]:
    poll, asked, found = select.poll(), {}, []
    for port in ports:
        probe = socket.socket()
        probe.setblocking(False)
        answer = probe.connect_ex((address, port))
        if answer == errno.EINPROGRESS:
            poll.register(probe, select.POLLOUT)
            asked[probe.fileno()] = probe, port
            continue
        probe.close()
        found += [port] if answer == 0 else []
    deadline = time.monotonic() + _PATIENCE
    while asked and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            probe, port = asked.pop(descriptor)
            found += [port] if probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 else []
            poll.unregister(descriptor)
            probe.close()
    for probe, _ in asked.values():
        probe.close()
    return found


if __name__ == "__main__":
    _ADDRESS, *_PORTS = sys.argv[1:]
    print(json.dumps(scan(_ADDRESS, [int(port) for port in _PORTS] or range(1, 65536))))
