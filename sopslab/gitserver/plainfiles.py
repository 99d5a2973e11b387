"""Read, within bounds, the files that the Git server hands on to learners."""

from __future__ import annotations

import os
import stat
from pathlib import Path

# Bytes; the files that the lab writes are far smaller.
_MOST = 256 * 1024


def read_plain(path: Path) -> bytes | None:
    """Return a plain file's content; None for a link, or a file too large or not readable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
            content = file.read(_MOST + 1) if plain else b""
    except OSError:
        return None
    return content if plain and len(content) <= _MOST else None
