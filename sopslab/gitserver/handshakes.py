"""Count a connection as a stranger's while its TLS handshake is under way, and bound that time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

from sopslab.gitserver.strangers import Strangers


class Handshake(asyncio.Protocol):
    """A connection until its TLS handshake is done; then `make()` is the connection's protocol.

    A server of asyncio's that has TLS itself says nothing of a connection before that, so whoever
    says nothing would be counted by nobody.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        strangers: Strangers,
        seconds: float,
    ) -> None:
        """
        + seconds: for the handshake, and later for the client's part in the end of the connection
        """
        self._make = make
        self._context = context
        self._strangers = strangers
        self._seconds = seconds
        self._early = b""

    # The Git server's container has no typing_extensions, and so no `override`.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override, explicit-override]
        """Begin the handshake."""
        # `start_tls` goes on reading: nothing that comes before is taken for what was encrypted.
        transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(transport))

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override]
        """Keep what comes together with the end of the handshake, before `start_tls` returns."""
        self._early += data

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        address = str((transport.get_extra_info("peername") or ("?",))[0])
        tls: asyncio.Transport | None = None
        with self._strangers.hold(address, transport), suppress(OSError):
            tls = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._seconds,
                ssl_shutdown_timeout=self._seconds,
            )
        # None, too, if the connection was ended as the oldest of too many.
        if tls is None or tls.is_closing():
            transport.abort()
            return
        protocol = self._make()
        tls.set_protocol(protocol)
        protocol.connection_made(tls)
        if self._early:
            protocol.data_received(self._early)
