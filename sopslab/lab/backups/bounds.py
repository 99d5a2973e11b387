"""Limits of what is in a backup: the person who encrypts it decides what it unpacks to."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from sopslab.checks.backups import amount_problem
from sopslab.errors import LabError
from sopslab.files.bounded import Bounded, Stream

# Bytes beside the files: what tarfile reads ahead, a file's headers, and the end of an archive.
_AROUND = 1 << 16
# Bytes for each file: two headers, the records of the longer one without the name, and what fills
# up the last blocks; and bytes for each letter of its name.
_HEADERS, _LETTER = 2560, 4


class Refused(LabError):
    """Why a backup is not restored, in one sentence."""


def bounded_by_files(stream: Stream) -> Bounded:
    """Return the stream of an archive, which can be read only as far as `admitted` has let files
    in. A read beyond that raises Refused."""
    return Bounded(stream, _AROUND, Refused("it has more in it than its sums say"))


def admitted(archive: tarfile.TarFile, bounded: Bounded, room: int) -> Iterator[tarfile.TarInfo]:
    """Yield the files of an archive, each before it is read. Raises Refused where they are too
    many or too large.

    + bounded: what the archive is read from
    + room: how many bytes there is room for
    """
    count = letters = size = 0
    for member in archive:
        # tarfile keeps each file, and gives each a copy of the records that count for all.
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
        # A folder's header may have a size, too, but no content follows.
        content = member.size * member.isreg()
        bounded.allow(_HEADERS + _LETTER * len(member.name) + content)
        yield member
