"""The file of a report: whole or not there, and nobody else can read it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from sopslab.errors import LabError
from sopslab.files.privatefile import write_private


def pack(folder: str, files: Mapping[str, bytes], time: float) -> bytes:
    """Return a compressed tar archive with `files` below `folder`, all of them of that time.

    + time: seconds since the epoch
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read; one that is there is replaced as a whole.

    Raises LabError if it cannot be written.
    """
    try:
        write_private(path, content)
    except OSError as error:
        raise LabError(f"{path} cannot be written: {error.strerror}") from None
