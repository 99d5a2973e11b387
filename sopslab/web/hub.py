"""Passes the newest state from the watcher's thread to the viewers, and tells the watcher whether
there are viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sopslab.web.state import State
from sopslab.web.watcher import Watcher

_PING_S = 15.0


class Hub:
    """Holds the newest state for any number of streams. A slow viewer skips older states."""

    def __init__(self, watcher: Watcher) -> None:
        """
        + watcher: is told whether somebody watches
        """
        self.state = watcher.state
        self._watcher = watcher
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closed = False
        self._viewers = 0

    def open(self) -> None:
        """Take states from other threads from now on. To be called in the event loop of the
        streams."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._news.set()

    def tell(self, state: State) -> None:
        """Take a newer state from another thread. It is ignored before `open` and after `close`."""
        if self._loop is not None and not self._closed:
            self._loop.call_soon_threadsafe(self._become, state)

    def _become(self, state: State) -> None:
        self.state = state
        news, self._news = self._news, asyncio.Event()
        if self._closed:
            self._news.set()
        news.set()

    def ask(self) -> State:
        """Return the newest state to a request that does not stay, and tell the watcher of it."""
        self._watcher.asked()
        return self.state

    async def states(self, seen: str) -> AsyncIterator[State | None]:
        """Yield each new state until the hub is closed, and None whenever no new one came for a
        while.

        + seen: the version that the viewer has already
        """
        self._count(1)
        try:
            while not self._closed:
                news, state = self._news, self.state
                if state.version != seen:
                    seen = state.version
                    yield state
                    continue
                try:
                    await asyncio.wait_for(news.wait(), _PING_S)
                except TimeoutError:
                    yield None
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        self._viewers += more
        self._watcher.watched(self._viewers > 0)
