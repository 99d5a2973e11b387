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
    packed, refs = root / "packed-refs", root / "refs"
    if packed.exists():
        yield _told(str(packed), packed.stat())
    yield from _folders(str(refs), refs.stat())


def _folders(path: str, status: os.stat_result) -> Iterator[tuple[str, int, int, int]]:
    yield _told(path, status)
    # Paths would take longer than the questions, which are asked of a whole class every 2 s.
    with os.scandir(path) as entries:
        for one in entries:
            if one.is_dir(follow_symlinks=False):
                yield from _folders(one.path, one.stat(follow_symlinks=False))


def _told(path: str, status: os.stat_result) -> tuple[str, int, int, int]:
    return path, status.st_ino, status.st_mtime_ns, status.st_size
