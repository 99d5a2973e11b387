"""Whether a repository's references have changed, found out without starting Git."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

# Two changes within this time may get the same timestamp from the file system.
_SETTLING_NS = 100_000_000

Mark = tuple[tuple[str, int, int, int], ...]


def mark_of(repository: str) -> Mark | None:
    """Return a mark that changes whenever a reference of a bare repository changes. Return None if
    there is no such mark, or if the last change is so recent that the next one might get the same
    mark.

    Git writes a reference through a lock file beside it, which changes the time of the folder, too.
    So only folders and packed-refs are looked at.
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
    # This runs for a whole class every 2 s, and Path objects would take longer than the system
    # calls.
    with os.scandir(path) as entries:
        for one in entries:
            if one.is_dir(follow_symlinks=False):
                yield from _folders(one.path, one.stat(follow_symlinks=False))


def _told(path: str, status: os.stat_result) -> tuple[str, int, int, int]:
    return path, status.st_ino, status.st_mtime_ns, status.st_size
