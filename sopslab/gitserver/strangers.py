"""Limit the connections on which no user's request is being answered, by ending the oldest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Strangers:
    """The connections on which no user's request is being answered, by their clients' address.

    All learners on one machine have the same address. If new connections were refused because of
    silent ones, one learner could keep the others out; so the connection that has been silent
    longest is ended.
    """

    def __init__(self, most: int, in_all: int) -> None:
        """
        + most: of one address
        + in_all: of all addresses
        """
        self._most, self._in_all = most, in_all
        self._known: dict[str, dict[asyncio.WriteTransport, None]] = {}

    @contextmanager
    def hold(self, address: str, connection: asyncio.WriteTransport) -> Iterator[None]:
        """Count a connection of *address* in the block; if too many are open, end the oldest."""
        known = self._known.setdefault(address, {})
        known[connection] = None
        if len(known) > self._most:
            self._end_oldest(address)
        elif sum(map(len, self._known.values())) > self._in_all:
            self.make_room()
        try:
            yield
        finally:
            known.pop(connection, None)
            if not known and self._known.get(address) is known:
                del self._known[address]

    def make_room(self) -> bool:
        """End the oldest connection of the address that has most; return whether there was any."""
        if not self._known:
            return False
        self._end_oldest(max(self._known, key=lambda address: len(self._known[address])))
        return True

    def _end_oldest(self, address: str) -> None:
        known = self._known[address]
        oldest = next(iter(known))
        del known[oldest]
        if not known:
            del self._known[address]
        oldest.abort()
