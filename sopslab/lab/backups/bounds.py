"""How much a backup may have in it: whoever encrypts one decides what it unpacks to."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from sopslab.checks.backups import amount_problem
from sopslab.errors import LabError
from sopslab.files.bounded import Bounded, Stream

# What tarfile reads ahead, the headers of a file, and the end of an archive; bytes.
_AROUND = 1 << 16
# Two headers, the longer one's records without the name, and what fills up the last blocks.
_HEADERS, _LETTER = 2560, 4


class Refused(LabError):
    """Why a backup is not restored, in one sentence."""


def bounded_by_files(stream: Stream) -> Bounded:
    """Return the stream of an archive that goes on for as long as files were let in by `admitted`.
    It raises Refused."""
    return Bounded(stream, _AROUND, Refused("it has more in it than its sums say"))


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
        # A folder has a size, too, but nothing of it follows.
        content = member.size * member.isreg()
        bounded.allow(_HEADERS + _LETTER * len(member.name) + content)
        yield member
