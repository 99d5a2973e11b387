"""Limit how much goes on at once under one name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class Busy(Exception):
    """There is no place, or none became free in time."""


@dataclass
class _Queue:
    places: asyncio.Semaphore
    holders: int = field(default=0)


class Slots:
    """Places under each name: at most `at_once` are held at a time; first come, first served.

    At most `most` requests hold a place or wait for one, and none waits longer than `seconds`.
    """

    def __init__(self, at_once: int, most: int, seconds: float) -> None:
        self._at_once, self._most, self._seconds = at_once, most, seconds
        self._queues: dict[str, _Queue] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold a place while the block runs. Raises Busy."""
        queue = self._queues.setdefault(name, _Queue(asyncio.Semaphore(self._at_once)))
        if queue.holders >= self._most:
            raise Busy
        queue.holders += 1
        try:
            try:
                async with asyncio.timeout(self._seconds):
                    await queue.places.acquire()
            except TimeoutError:
                raise Busy from None
            try:
                yield
            finally:
                queue.places.release()
        finally:
            queue.holders -= 1
            if not queue.holders:
                self._queues.pop(name, None)
