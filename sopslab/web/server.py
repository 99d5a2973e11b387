"""The server of the board's pages."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sopslab.gitserver.handshakes import Handshake
from sopslab.gitserver.strangers import Strangers
from sopslab.lab.board import Found
from sopslab.web.address import Address
from sopslab.web.app import Door, application
from sopslab.web.hub import Hub
from sopslab.web.pages import Pages
from sopslab.web.records import Records
from sopslab.web.watcher import Watcher

_HEAD_S = 10.0  # for the TLS handshake, and for the head of a request
_GRACE_S = 1  # for answers that are under way when the board ends
_CONNECTIONS = 256
# Connections that have not asked for anything yet, of one address and of all.
_STRANGERS, _STRANGERS_IN_ALL = 64, 128


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
        strangers = Strangers(_STRANGERS, _STRANGERS_IN_ALL)
        prompt = _prompt(strangers)
        super().__init__(
            uvicorn.Config(
                application(self.hub, self.pages, Door(token, address.hosts)),
                loop="asyncio",
                http=prompt if address.tls is None else _secured(prompt, address.tls, strangers),
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


def _secured(
    prompt: type[H11Protocol], tls: ssl.SSLContext, strangers: Strangers
) -> type[asyncio.Protocol]:
    """Return a class of connections that are those of the class `prompt` after a TLS handshake."""

    class Secured(Handshake):
        def __init__(self, **given: Any) -> None:
            super().__init__(lambda: prompt(**given), tls, strangers, _HEAD_S)

    return Secured


def _prompt(strangers: Strangers) -> type[H11Protocol]:
    """Return a class of connections. Each has to send its first request in time, and another one
    in time after each answer, or is closed. If too many connections, of one address or of all, have
    sent no request yet, the oldest of them is closed at once."""

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
