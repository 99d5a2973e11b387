"""Plain tar archives as `sopslab.lab.beginning` reads them: files only, each with a header of one
block, root's and of no time."""

from __future__ import annotations

import tarfile

from sopslab.files.bounded import Stream
from sopslab.lab.store.members import Sink

_PIECE = 1 << 20


def write_file(sink: Sink, name: str, size: int, content: Stream) -> None:
    """Write a file and what fills its last block.

    Raises ValueError where the name is too long for a header, or the content is of another size.
    """
    info = tarfile.TarInfo(name)
    info.size = size
    sink.write(info.tobuf(tarfile.USTAR_FORMAT))
    left = size
    while left and (piece := content.read(min(left, _PIECE))):
        sink.write(piece)
        left -= len(piece)
    if left or content.read(1):
        raise ValueError(f"{name} has changed while it was read")
    sink.write(bytes(-size % tarfile.BLOCKSIZE))


def end_archive(sink: Sink) -> None:
    """Write the end of an archive."""
    sink.write(bytes(2 * tarfile.BLOCKSIZE))
