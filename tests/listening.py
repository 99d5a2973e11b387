"""A service on loopback that refuses every request, or redirects it, and keeps what it was sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening(location: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield the service's URL, and the list of the requests that it was sent so far.

    + location: where requests are redirected to, if they are
    """
    said = "403 Forbidden" if location is None else f"302 Found\r\nLocation: {location}"
    calls: list[str] = []
    server = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                calls.append(connection.recv(1000).decode("latin-1"))
                connection.sendall(f"HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n".encode())

    threading.Thread(target=answer, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
