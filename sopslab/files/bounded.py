"""Streams that are read no further than was said."""

from __future__ import annotations

from typing import Protocol

from sopslab.errors import LabError


class Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int, /) -> bytes: ...


class Bounded:
    """A stream that is refused where it goes on for longer: tarfile reads some headers as a whole,
    however long they say that they are."""

    def __init__(self, stream: Stream, most: int, refused: LabError) -> None:
        """
        + most: how many bytes it may have
        + refused: is raised where it has more
        """
        self._stream, self._left, self._refused = stream, most, refused

    def read(self, size: int, /) -> bytes:
        """Return the next bytes. Raises what was given for that."""
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise self._refused
        return piece

    def allow(self, more: int) -> None:
        """Have it go on for so many bytes more."""
        self._left += more
