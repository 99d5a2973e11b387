"""This machine's Docker at a TCP port, as if it were a service on another machine."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from typing_extensions import override

_SOCKET = "/var/run/docker.sock"


class _Way(socketserver.BaseRequestHandler):
    """One connection, forwarded to the engine's socket in both directions."""

    @override
    def handle(self) -> None:
        # Everybody who may use this port is root here, so no container may.
        if not _is_of_this_machine(self.client_address[0]):
            return
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(_SOCKET)
            back = threading.Thread(target=_copy, args=(engine, self.request))
            back.start()
            _copy(self.request, engine)
            back.join()


def _is_of_this_machine(address: str) -> bool:
    """Return whether an address is one of this machine's own: only there can a socket be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.bind((address, 0))
        return True
    return False


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Service(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def engine_at(address: str) -> Iterator[str]:
    """Serve the engine at an address of this machine; yield the DOCKER_HOST of this service."""
    with _Service((address, 0), _Way) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"tcp://{address}:{service.server_address[1]}"
        finally:
            service.shutdown()
            thread.join()
