"""The board's server, from its beginning to its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol

from sopslab.lab.board import Found
from sopslab.web.address import Address
from sopslab.web.app import Door, application
from sopslab.web.hub import Hub
from sopslab.web.pages import Pages
from sopslab.web.records import Records
from sopslab.web.watcher import Watcher

_HEAD_S = 10.0  # for the head of a connection's first request
_GRACE_S = 1  # for answers that are under way when the board ends
_CONNECTIONS = 256


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
                http=_Prompt,
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


class _Prompt(H11Protocol):
    """A connection that has to ask for something: who only holds it open is hung up on."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(_HEAD_S, self._hang_up)

    def _hang_up(self) -> None:
        if self.cycle is None:
            self.transport.close()
