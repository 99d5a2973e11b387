"""How much a backup may have in it: whoever encrypts one decides what it unpacks to."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Protocol

from sopslab.checks.backups import amount_problem
from sopslab.errors import LabError

# What tarfile reads ahead, the headers of a file, and the end of an archive; bytes.
_AROUND = 1 << 16
# Two headers, the longer one's records without the name, and what fills up the last blocks.
_HEADERS, _LETTER = 2560, 4


class Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int, /) -> bytes: ...


class Refused(LabError):
    """Why a backup is not restored, in one sentence."""


class Bounded:
    """A stream that is refused where it has more than the files that were let in, and their
    headers: tarfile reads some headers as a whole, however long they say that they are."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = _AROUND

    def read(self, size: int, /) -> bytes:
        """Return the next bytes. Raises Refused."""
        piece = self._stream.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise Refused("it has more in it than its sums say")
        return piece

    def let_in(self, member: tarfile.TarInfo) -> None:
        """Have one more file be read. A folder has a size, too, but nothing of it follows."""
        self._left += _HEADERS + _LETTER * len(member.name) + member.size * member.isreg()


def admitted(archive: tarfile.TarFile, bounded: Bounded, room: int) -> Iterator[tarfile.TarInfo]:
    """Yield the files of an archive, each before it is read. Raises Refused where they are too
    many or too large.

    + bounded: what the archive is read from
    + room: how many bytes there is room for
    """
    count = letters = size = 0
    for member in archive:
        # tarfile keeps each, and gives each a copy of the records that are for all.
        archive.members.clear()  # type: ignore[attr-defined]
        if archive.pax_headers or member.size < 0:
            raise Refused("it is damaged, or no backup of ours")
        count, letters, size = count + 1, letters + len(member.name), size + member.size
        problem = amount_problem(count, letters)
        if problem is not None:
            raise Refused(f"it has {problem}")
        if size > room:
            raise Refused(
                f"its files have {size / 1e9:.1f} GB or more, and the disk has {room / 1e9:.1f} GB"
                " left"
            )
        bounded.let_in(member)
        yield member
