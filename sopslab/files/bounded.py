"""Streams that can be read up to a limit."""

from __future__ import annotations

from typing import Protocol

from sopslab.errors import LabError


class Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int, /) -> bytes: ...


class Bounded:
    """A stream that is refused once it exceeds a limit: tarfile reads some headers as a whole,
    whatever length they declare."""

    def __init__(self, stream: Stream, most: int, refused: LabError) -> None:
        """
        + most: how many bytes the stream may have
        + refused: the error that is raised if it has more
        """
        self._stream, self._left, self._refused = stream, most, refused

    def read(self, size: int, /) -> bytes:
        """Return the next bytes. Raises the given error if the stream exceeds the limit."""
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise self._refused
        return piece

    def allow(self, more: int) -> None:
        """Raise the limit by `more` bytes."""
        self._left += more
