"""The server of the board's pages."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sopslab.gitserver.strangers import Strangers
from sopslab.lab.board import Found
from sopslab.web.address import Address
from sopslab.web.app import Door, application
from sopslab.web.hub import Hub
from sopslab.web.pages import Pages
from sopslab.web.records import Records
from sopslab.web.watcher import Watcher

_HEAD_S = 10.0  # for the head of a request
_GRACE_S = 1  # for answers that are under way when the board ends
_CONNECTIONS = 256
_STRANGERS = 64  # connections of one address that have not asked for anything yet


class BoardServer(uvicorn.Server):
    """Serves the board of a lab until it is interrupted, and ends the open streams then."""

    def __init__(
        self,
        lab: str,
        look: Callable[[], Found],
        records: Records,
        address: Address,
        token: str,
    ) -> None:
        """
        + look: returns what is seen now; may raise LabError and Undecided
        """
        self.watcher = Watcher(look, records, lambda state: self.hub.tell(state))
        self.hub = Hub(self.watcher)
        self.pages = Pages(lab)
        tls = address.tls
        super().__init__(
            uvicorn.Config(
                application(self.hub, self.pages, Door(token, address.hosts)),
                loop="asyncio",
                http=_prompt(Strangers(_STRANGERS)),
                ws="none",
                lifespan="off",
                # A log of requests would hold the token.
                access_log=False,
                log_config=None,
                log_level="error",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE_S,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            )
        )

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.hub.open()
        self.watcher.start()
        await super().startup(sockets)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.hub.close()
        await super().shutdown(sockets)
        await asyncio.to_thread(self.watcher.stop)


def _prompt(strangers: Strangers) -> type[H11Protocol]:
    """Return a class of connections. Each has to send its first request in time, and another one
    in time after each answer, or is closed. If too many connections of one address have sent no
    request yet, the oldest of them is closed at once."""

    class Prompt(H11Protocol):
        @override
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._unknown = ExitStack()
            address = "" if self.client is None else self.client[0]
            self._unknown.enter_context(strangers.hold(address, transport))
            self._await_head(None)

        @override
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None:
                # After a request, the connection no longer counts as a stranger's. If the request
                # lacks the token, the answer closes the connection.
                self._unknown.close()

        @override
        def on_response_complete(self) -> None:
            answered = self.cycle
            super().on_response_complete()
            self._await_head(answered)

        @override
        def connection_lost(self, exc: Exception | None) -> None:
            self._unknown.close()
            super().connection_lost(exc)

        def _await_head(self, last: RequestResponseCycle | None) -> None:
            asyncio.get_running_loop().call_later(_HEAD_S, self._hang_up, last)

        def _hang_up(self, last: RequestResponseCycle | None) -> None:
            if self.cycle is last:
                self.transport.close()

    return Prompt
