"""The record of a class's progress. There is one writer at a time: the board holds a lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sopslab.checks.board.history import MOST, bounded
from sopslab.config.places import Places
from sopslab.lab.observe.progress import progress_file
from sopslab.lab.tools import files
from sopslab.model.progress import Change, as_lines, in_lines

# Room for the most changes that a history has, with a hundred bytes for each.
_MOST_BYTES = MOST * 100


def append(places: Places, changes: Sequence[Change]) -> None:
    """Append changes to the record, in one write. Old changes are left out once the record is too
    long. Raises OSError."""
    path = progress_file(places)
    files.private_folder(places.class_dir)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        # A line that a killed process left unfinished is ended here, so that the next one is whole.
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if torn else b"") + as_lines(changes))
    finally:
        os.close(descriptor)
    if size > _MOST_BYTES:
        files.write(path, as_lines(bounded(in_lines(Path(path).read_bytes()))))
