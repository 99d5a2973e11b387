"""The Git server: it knows the user, and counts their requests, before it reads a request's body.

A place among the requests of all is taken when the body is there, or at least its beginning. The
rest goes on to git as it arrives and is kept nowhere. A client that sends faster than git reads has
to wait, and so has a user with more requests at once than a learner needs.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.naming import NO_SEATS, SPARE
from sopslab.gitserver import pages
from sopslab.gitserver.accounts import Accounts
from sopslab.gitserver.backend import MAX_PUSH, MAX_QUESTION, Backend, Gone, environment
from sopslab.gitserver.handshakes import Handshake
from sopslab.gitserver.niceness import LONG_BYTES
from sopslab.gitserver.protocol import (
    MAX_HEAD,
    Refused,
    Request,
    answer_head,
    parse,
    push_error,
)
from sopslab.gitserver.slots import Busy, Slots
from sopslab.gitserver.strangers import Strangers
from sopslab.gitserver.uploads import LEAST_READ, Upload

_HEAD_SECONDS = 10.0
# A hundred pushes that come at once, handled one after the other, take this long.
_WAIT_SECONDS = 60.0
# A client reads its answer only after it has sent everything: up to this much is read and
# discarded.
_LINGER_BYTES, _LINGER_SECONDS = 64 * 1024 * 1024, 5.0
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="sops-lab", charset="UTF-8"'}
_TEXT = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache"}
_PUSHED = {"Content-Type": "application/x-git-receive-pack-result", "Cache-Control": "no-cache"}


@dataclass(frozen=True)
class Limits:
    """How many connections and requests there are at once, in all and for each user."""

    connections: int = 512
    strangers: int = 128
    """Connections from one address on which no user's request is being answered."""
    questions: int = 16
    """Requests that only ask what is there. A push and a fetch begin with one."""
    fetches: int = 16
    pushes: int = 4
    long_pushes: int = 2
    """Pushes that bring much, and so hold their places while they come."""
    of_a_user: int = 4
    waiting: int = 32
    """Requests of one user, including those that wait."""


def tls_context(certificate: Path) -> ssl.SSLContext:
    """Return the TLS context: TLS 1.2 or newer, with the server's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate)
    return context


class Server:
    """The Git server of one lab, whose data is below `root`."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self._root = root
        self._limits = limits or Limits()
        self._accounts = Accounts(root / "htpasswd")
        self._connections = 0
        many = self._limits.connections
        self._strangers = Strangers(self._limits.strangers, many)
        self._users = Slots(self._limits.of_a_user, self._limits.waiting, _WAIT_SECONDS)
        # Two pushes of one user to one repository at a time would only do the same work twice.
        self._repositories = Slots(1, many, _WAIT_SECONDS)
        self._pushes = Slots(self._limits.pushes, many, _WAIT_SECONDS)
        self._long_pushes = Slots(self._limits.long_pushes, many, _WAIT_SECONDS)
        self._fetches = Slots(self._limits.fetches, many, _WAIT_SECONDS)
        self._questions = Slots(self._limits.questions, many, _WAIT_SECONDS)

    async def serve(self, port: int, certificate: Path | None) -> None:
        """Listen for ever, with TLS where there is a certificate."""
        context = None if certificate is None else tls_context(certificate)
        asyncio.get_running_loop().set_exception_handler(_log)
        server = await self.listen(port, context)
        await server.serve_forever()

    async def listen(
        self, port: int, context: ssl.SSLContext | None = None, address: str | None = None
    ) -> asyncio.Server:
        """Return a server that listens on *port*, at *address* or at all addresses."""
        loop = asyncio.get_running_loop()

        def stream() -> asyncio.Protocol:
            reader = asyncio.StreamReader(MAX_HEAD, loop)
            return asyncio.StreamReaderProtocol(reader, self._connection, loop)

        def accepted() -> asyncio.Protocol:
            if context is None:
                return stream()
            return Handshake(stream, context, self._strangers, _HEAD_SECONDS)

        return await loop.create_server(accepted, address, port, backlog=512)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        self._connections += 1
        try:
            if self._connections <= self._limits.connections or self._strangers.make_room():
                await self._request(reader, writer, peer)
        except (Gone, EOFError, OSError):
            pass
        except Exception as error:
            # An error of the server itself must not end the connections of others.
            print(f"error: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        request: Request | None = None
        try:
            with self._strangers.hold(peer, writer.transport):
                request = await self._head(reader)
                public = pages.is_public(request)
                user = "" if public else self._user(request)
            if "100-continue" in request.headers.get("expect", "").lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            async with AsyncExitStack() as places:
                if not public:
                    await _hold(places, self._users, user)
                if pages.is_page(request):
                    writer.write(pages.answer(self._root, request, user))
                else:
                    most = MAX_PUSH if request.is_push else MAX_QUESTION
                    upload = Upload(reader, request, most)
                    await self._have_place(places, request, user, upload)
                    await Backend(request, upload, reader, writer).run(
                        str(self._root / "etc" / "gate"),
                        environment(self._root, request, user, peer),
                    )
        except Refused as refused:
            _refuse(writer, refused, request)
        with self._strangers.hold(peer, writer.transport):
            await _leave(reader, writer)

    async def _head(self, reader: asyncio.StreamReader) -> Request:
        """Return a request without its body. Raises Refused."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Refused("431 Request Header Fields Too Large", "too long a head") from None
        return parse(head)

    def _user(self, request: Request) -> str:
        """Return the user who makes a request. Raises Refused."""
        if request.method == "HEAD" and not pages.is_page(request):
            raise Refused("405 Method Not Allowed", "only GET and POST are answered here")
        user = self._accounts.user(request.headers.get("authorization", ""))
        if user is None:
            raise Refused("401 Unauthorized", "log in with the account that you were given")
        return user

    async def _have_place(
        self, places: AsyncExitStack, request: Request, user: str, upload: Upload
    ) -> None:
        """Wait until the request has come, as far as it is awaited, and has its turn. Raises
        Refused if it has none in time."""
        # Each of the lab's own users, Flux above all, has places that no learner takes.
        whose = user if NO_SEATS.fullmatch(user) and not SPARE.fullmatch(user) else ""
        if not request.is_push:
            await upload.begin(MAX_QUESTION)
            only_asks = request.method == "GET"
            await _hold(places, self._questions if only_asks else self._fetches, whose)
            return
        is_all = await upload.begin(LONG_BYTES)
        # The repository's own place comes first: then ten pushes to one repository hold only one of
        # the places for all pushes. Others may not push there, which the gate has yet to tell them:
        # meanwhile they take no place from who may.
        await _hold(places, self._repositories, f"{user} {request.path}")
        if not is_all:
            await _hold(places, self._long_pushes, whose)
        await _hold(places, self._pushes, whose)


async def _hold(places: AsyncExitStack, slots: Slots, name: str) -> None:
    """Wait for a place and hold it. Raises Refused if none becomes free in time."""
    try:
        await places.enter_async_context(slots.hold(name))
    except Busy:
        raise Refused(
            "503 Service Unavailable",
            "refused: too many requests at once, so this one had no turn. Wait until others are"
            " done, then try again",
        ) from None


def _log(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log in one line what asyncio would log as a traceback, except that a client hung up."""
    error = context.get("exception")
    if not isinstance(error, ConnectionError):
        print(f"error: {context.get('message')}: {error!r}", file=sys.stderr, flush=True)


def _refuse(writer: asyncio.StreamWriter, refused: Refused, request: Request | None) -> None:
    sentence = str(refused)
    if request is not None and request.is_push and re.match("403|408|413|503", refused.status):
        # git shows a learner an answer to a push only if it is in git's own protocol.
        writer.write(answer_head("200 OK", _PUSHED) + push_error(sentence))
        return
    headers = {**_TEXT, **(_CHALLENGE if refused.status.startswith("401") else {})}
    content = f"{sentence}\n".encode()
    writer.write(answer_head(refused.status, {**headers, "Content-Length": str(len(content))}))
    if request is None or request.method != "HEAD":
        writer.write(content)


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that the client sees its whole answer."""
    with suppress(TimeoutError):
        # With the time that it takes to read what is sent already, at the least rate.
        more = writer.transport.get_write_buffer_size() / LEAST_READ
        async with asyncio.timeout(_LINGER_SECONDS + more):
            # With this, `drain` waits until everything is sent: what is not sent would be lost.
            writer.transport.set_write_buffer_limits(0)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            left = _LINGER_BYTES
            while left > 0 and (piece := await reader.read(64 * 1024)):
                left -= len(piece)
