"""The body of a request, and how slowly a client may send it, or read its answer.

Whoever has begun to send and does not go on, or goes on byte by byte, would keep a place that
others wait for. So the beginning of a body, which is all of it for what a learner usually pushes,
is awaited before its request takes a place, and everything has to move at a least rate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from sopslab.gitserver.protocol import Refused, Request, body, inflated

LEAST_SENT = 32 * 1024
"""Bytes of a body that have to come each second, on the average."""
LEAST_READ = 16 * 1024
"""Bytes of an answer that have to be read each second, on the average.

A clone over a slow network may take all the time that a request has."""
_SECONDS = 10.0

_T = TypeVar("_T")


class Pace:
    """The time that a client may take: ten seconds at a time, and all in all ten more than what has
    moved takes at the least rate."""

    def __init__(self, least: int) -> None:
        """
        + least: the least rate, in bytes a second
        """
        self._least = least
        self._left = _SECONDS

    async def keep(self, waiting: Awaitable[_T]) -> _T:
        """Return the result of *waiting* for the client. Raises TimeoutError if there is no time
        left."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(min(self._left, _SECONDS)):
                return await waiting
        finally:
            self._left -= time.monotonic() - begun

    def moved(self, size: int) -> None:
        """Give the client time for so many bytes."""
        self._left += size / self._least


class Upload:
    """A request's body. Only its beginning is kept, until it goes on with the rest.

    That of a push is inflated, because its commands are looked at before git reads them.
    """

    def __init__(self, reader: asyncio.StreamReader, request: Request, most: int) -> None:
        """
        + most: the bytes that the body may have, also once it is inflated
        """
        self._pieces = body(reader, request, most)
        if request.is_push and request.is_gzip:
            self._pieces = inflated(self._pieces, most)
        self._kept = bytearray()
        self._pace = Pace(LEAST_SENT)

    async def begin(self, size: int) -> bool:
        """Wait until so many bytes have come, or fewer if that is all; return whether it is all.

        Raises Refused if the body is not well-formed, too long or too slow, and EOFError if the
        client ends it early.
        """
        while len(self._kept) < size:
            piece = await self._next()
            if piece is None:
                return True
            self._kept += piece
        return False

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the whole body once. Raises as `begin` does."""
        if self._kept:
            kept, self._kept = bytes(self._kept), bytearray()
            yield kept
        while (piece := await self._next()) is not None:
            yield piece

    async def _next(self) -> bytes | None:
        try:
            piece = await self._pace.keep(anext(self._pieces, None))
        except TimeoutError:
            raise Refused(
                "408 Request Timeout",
                f"refused: this came too slowly, with less than {LEAST_SENT // 1024} KiB a second"
                f" after {_SECONDS:.0f} s. Send less at a time, or over a faster network",
            ) from None
        if piece is not None:
            self._pace.moved(len(piece))
        return piece
