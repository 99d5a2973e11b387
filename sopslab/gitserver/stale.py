"""What a git that was killed has left in a repository: with the server's container all end that are
at work there, and a lock that one of them held would refuse every later push."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OLD_S = 180.0
"""No push takes as long, nor does whatever else changes a repository."""


def remove_locks(repository: Path, refs: Iterable[str]) -> None:
    """Remove old locks of refs, of main, to which a push may lead, and of what is locked with
    them."""
    now = time.time()
    for name in ("HEAD", "packed-refs", "refs/heads/main", *refs):
        lock = repository / f"{name}.lock"
        with suppress(OSError):
            if now - lock.lstat().st_mtime > OLD_S:
                lock.unlink()
