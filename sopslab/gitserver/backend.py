"""Run one CGI program for one request: feed it as the client sends, end it with its children."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sopslab.gitserver.niceness import LONG_BYTES, make_group_way
from sopslab.gitserver.protocol import (
    Refused,
    Request,
    answer_head,
    parse_cgi,
    push_error,
)
from sopslab.gitserver.signatures import unsigned
from sopslab.gitserver.uploads import LEAST_READ, Pace, Upload

MAX_PUSH = 32 * 1024 * 1024
"""Bytes of a push's request, inflated; git stops at a pack of 16 MiB (receive.maxInputSize)."""
MAX_QUESTION = 1024 * 1024
"""Bytes of any other request's body, which lists the commits that a client has and wants, and which
is kept in memory until the request has a place."""
JUDGES = "/tmp/judges"
"""The socket at which pushes are judged, in the container's own /tmp."""
PUSH_SECONDS = 90.0
FETCH_SECONDS = 120.0
# So much of an answer is taken over from git, whether or not the client reads it: all of most
# answers.
_BUFFER = 256 * 1024
_GRACE_SECONDS = 2.0


class Gone(Exception):
    """The client left before it had its answer."""


def environment(root: Path, request: Request, user: str, peer: str) -> dict[str, str]:
    """Return the environment of the gate, git http-backend and the hooks."""
    protocol = request.headers.get("git-protocol", "")
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "PYTHONPATH": str(root / "policy"),
        "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
        "SOPSLAB_JUDGES": JUDGES,
        "GIT_PROJECT_ROOT": str(root / "repositories"),
        "GIT_HTTP_EXPORT_ALL": "",
        "GIT_CONFIG_SYSTEM": str(root / "etc" / "gitconfig"),
        # A repository's own configuration, which the server can write, would count more than that
        # file, and less than these.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(root / "etc" / "hooks"),
        # Pushes are judged as Flux sees them, and Flux knows neither replace refs nor grafts.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null/none",
        "GIT_PROTOCOL": protocol if re.fullmatch(r"[a-z0-9=:]{0,64}", protocol) else "",
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        # A push is inflated already.
        "HTTP_CONTENT_ENCODING": ""
        if request.is_push
        else request.headers.get("content-encoding", ""),
        "REMOTE_USER": user,
        "REMOTE_ADDR": peer,
    }


class Backend:
    """A program that answers one request."""

    def __init__(
        self,
        request: Request,
        upload: Upload,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._request, self._upload = request, upload
        self._reader, self._writer = reader, writer
        self._seconds = PUSH_SECONDS if request.is_push else FETCH_SECONDS
        self._pace = Pace(LEAST_READ)
        self._begun = False

    async def run(self, program: str, environment: Mapping[str, str]) -> None:
        """Answer the request within the time that it has.

        Raises Refused if no answer has begun yet, Gone if the client has left. At the end, no
        process of the program's group is left.
        """
        process = await asyncio.create_subprocess_exec(
            program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        # By default, three quarters of it would have to be read before anything counts as read.
        self._writer.transport.set_write_buffer_limits(_BUFFER, _BUFFER)
        answer = asyncio.create_task(self._answer(process))
        feed = asyncio.create_task(self._feed(process))
        try:
            await asyncio.wait(
                {answer, feed}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if answer.done():
                answer.result()
            elif feed.done():
                feed.result()
            else:
                raise Refused("503 Service Unavailable", self._too_long())
        except Refused as error:
            await _cancel(answer)
            if not self._begun:
                raise
            # In the middle of an answer, only a push can be told why; others are broken off.
            if self._request.is_push:
                await self._say(str(error))
        finally:
            await _cancel(answer, feed)
            await _end(process)

    def _too_long(self) -> str:
        return f"refused: this took longer than the {self._seconds:.0f} s that a request has"

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        """Pass the body on to the program, then wait until the client leaves. Raises Gone, and
        Refused as the body does."""
        stdin = process.stdin
        assert stdin is not None
        listens, brought = True, 0
        pieces = self._upload.pieces()
        try:
            async for piece in unsigned(pieces) if self._request.is_push else pieces:
                if not listens:
                    continue
                brought += len(piece)
                if brought - len(piece) < LONG_BYTES <= brought:
                    make_group_way(process.pid)
                try:
                    stdin.write(piece)
                    await stdin.drain()
                except (BrokenPipeError, ConnectionResetError):
                    # The program has answered already; the client gets that once it has sent
                    # everything.
                    listens = False
            stdin.close()
            await self._reader.read(1)
        except (EOFError, ConnectionError):
            pass
        raise Gone

    async def _answer(self, process: asyncio.subprocess.Process) -> None:
        stdout = process.stdout
        assert stdout is not None
        try:
            head = await stdout.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Refused(
                "502 Bad Gateway", "the Git server has no answer: ask your instructor"
            ) from None
        status, headers = parse_cgi(head)
        self._writer.write(answer_head(status, {**headers, "Transfer-Encoding": "chunked"}))
        self._begun = True
        while piece := await stdout.read(64 * 1024):
            await self._chunk(piece)
        await self._chunk(b"")

    async def _chunk(self, piece: bytes) -> None:
        """Send a piece of the answer. Raises Gone if the client does not read."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self._pace.moved(len(piece))
        try:
            await self._pace.keep(self._writer.drain())
        except TimeoutError:
            raise Gone from None

    async def _say(self, sentence: str) -> None:
        with suppress(OSError, Gone):
            await self._chunk(push_error(sentence))
            await self._chunk(b"")


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of a program and of its children."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await process.wait()
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
