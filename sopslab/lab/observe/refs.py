"""Whether a repository's references are as they were, told without a process of Git's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

# A file system's clock may stand still for as long as two changes take.
_SETTLING_NS = 100_000_000

Mark = tuple[tuple[str, int, int, int], ...]


def mark_of(repository: str) -> Mark | None:
    """Return what is another one as soon as a reference of a bare repository is; None where that
    cannot be said, or a change is so fresh that the next one might look the same.

    Git writes a reference by a lock file beside it, so its folder changes, too.
    """
    root = Path(repository)
    if (root / "reftable").exists():
        return None
    try:
        found = tuple(sorted(_changing(root)))
    except OSError:
        return None
    newest = max(changed for _, _, changed, _ in found)
    return None if newest > time.time_ns() - _SETTLING_NS else found


def _changing(root: Path) -> Iterator[tuple[str, int, int, int]]:
    folders = [Path(folder) for folder, _, _ in os.walk(root / "refs", onerror=_fail)]
    packed = root / "packed-refs"
    for path in (*folders, *([packed] if packed.exists() else [])):
        status = path.stat()
        yield str(path), status.st_ino, status.st_mtime_ns, status.st_size


def _fail(error: OSError) -> None:
    raise error
