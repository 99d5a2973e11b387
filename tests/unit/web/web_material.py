"""A board on loopback that shows made-up looks, and clients that are not browsers."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from typing_extensions import override

from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import Progress, Row, Step
from sopslab.config.settings import Seat
from sopslab.lab.board import Found
from sopslab.lab.parts import Part
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.progress import Change
from sopslab.web.address import Address
from sopslab.web.records import Records
from sopslab.web.server import BoardServer
from tests.unit.board.board_material import ADA, DONE, KUSTOMIZATION, fresh, suspended, with_facets

TOKEN = "a-token-that-guards-nothing-" + "0" * 8
PARTS = (Part("node", True, "running", "kind-lab"), Part("git", True, "running", "http://lab/x"))
FRESH = judge(ADA, fresh())
STUCK = judge(ADA, with_facets(kustomizations=[suspended(KUSTOMIZATION)]))
ALL = judge(ADA, DONE)


def seat(id: str, name: str = "", group: str | None = None) -> Seat:
    """Return the seat of a learner."""
    return Seat(id=id, name=name or id.title(), email=f"{id}@example.org", group=group)


def row(like: Row, who: Seat, asked: float | None = None) -> Row:
    """Return another learner's row with the steps of the row `like`."""
    return replace(like, seat=who, asked=asked)


def saying(who: Seat, found: str, fix: str = "") -> Row:
    """Return the row of a learner whose first step is stuck, with this sentence and command."""
    return Row(who, (Step("access", Progress.NO, found, fix, stuck=True), *ALL.steps[1:]))


def found(*rows: Row, parts: Sequence[Part] = PARTS) -> Found:
    """Return the result of a look."""
    return Found(tuple(parts), rows)


class Memory(Records):
    """Records in memory, without a file."""

    def __init__(self, changes: Sequence[Change] = ()) -> None:
        self.changes = list(changes)
        self.rows: Sequence[Row] | None = None
        self.broken: OSError | None = None

    @override
    def recorded(self) -> list[Change]:
        """Return the history so far."""
        return list(self.changes)

    @override
    def append(self, changes: Sequence[Change]) -> None:
        """Append changes to the history."""
        if self.broken is not None:
            raise self.broken
        self.changes += changes

    @override
    def publish(self, rows: Sequence[Row]) -> None:
        """Keep the rows, in place of each learner's file."""
        self.rows = rows

    @override
    def withdraw(self) -> None:
        """Forget the published rows."""
        self.rows = None


@dataclass
class Look:
    """A look that returns what the test sets, or raises the error that the test sets."""

    now: Found = field(default_factory=lambda: found(row(FRESH, seat("ada"))))
    failure: Exception | None = None
    times: int = 0

    def __call__(self) -> Found:
        self.times += 1
        if self.failure is not None:
            raise self.failure
        return self.now


@dataclass
class Board:
    """A board that is served."""

    server: BoardServer
    port: int
    look: Look
    records: Memory
    client_tls: ssl.SSLContext | None = None

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection to the board."""
        if self.client_tls is not None:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=20, context=self.client_tls
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self,
        path: str = f"/{TOKEN}/",
        method: str = "GET",
        host: str | None = None,
        mark: str = "",
    ) -> tuple[int, dict[str, str], str]:
        """Return status, headers and body of the board's answer.

        + mark: the ETag of what the client already has
        """
        connection = self.connection()
        try:
            headers = {"Host": host or f"127.0.0.1:{self.port}"}
            headers |= {"If-None-Match": mark} if mark else {}
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read().decode()
        finally:
            connection.close()

    def stream(self, query: str = "") -> Stream:
        """Return a stream of the events from now on."""
        return Stream(self.connection(), f"/{TOKEN}/events{query}")


class Stream:
    """The events of a board, as an EventSource reads them."""

    def __init__(self, connection: http.client.HTTPConnection, path: str) -> None:
        self._connection = connection
        connection.request("GET", path)
        self.answer = connection.getresponse()

    def event(self) -> tuple[str, str]:
        """Return id and data of the next event; of a comment, both are empty. Raises EOFError."""
        name, lines = "", []
        while (raw := self.answer.readline()) != b"\n":
            if not raw:
                raise EOFError
            line = raw.decode().rstrip("\n")
            if line.startswith("id: "):
                name = line.removeprefix("id: ")
            elif line.startswith("data:"):
                lines.append(line.removeprefix("data:").removeprefix(" "))
        return name, "\n".join(lines)

    def until(self, wanted: str, seconds: float = 10) -> str:
        """Return the data of the first event that contains a text. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            _, data = self.event()
            if wanted in data:
                return data
        raise AssertionError(f"no event had {wanted!r} within {seconds} s")

    def close(self) -> None:
        """Close the connection without a farewell."""
        self.answer.close()
        self._connection.close()


@contextmanager
def serving(
    look: Look | None = None,
    records: Memory | None = None,
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Board]:
    """Serve a board of made-up looks, and end it.

    + port: where, or 0 for a free one
    """
    look, records = look or Look(), records or Memory()
    with socket.create_server(("127.0.0.1", port)) as listening:
        port = listening.getsockname()[1]
        server = BoardServer("lab", look, records, Address("127.0.0.1", port, tls), TOKEN)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            assert wait_until(
                lambda: bool((server.started and server.hub.state.found) or look.failure), 10, 0.02
            )
            yield Board(server, port, look, records, client_tls)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
