"""Remove the locks that a killed git has left in a repository.

When the server's container ends, every git that runs in it is killed. If one of these held a lock,
git would refuse every later push, or never clear the pack that it had received.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OLD_S = 180.0
"""Seconds; no push, and nothing else that changes a repository, takes this long."""


def remove_locks(repository: Path, refs: Iterable[str]) -> None:
    """Remove old locks of *refs*, of main, of the files that are locked with them, and of packs.

    A push to another branch may change main, too. A `packed-refs.new` that is there keeps git from
    writing `packed-refs`, and the `gc.pid` of another host, which each container is, from clearing
    the repository for half a day.
    """
    now = time.time()
    names = ("HEAD", "packed-refs", "gc.pid", "refs/heads/main", *refs)
    locks = [repository / f"{name}.lock" for name in names]
    locks += [repository / "packed-refs.new", repository / "gc.pid"]
    for lock in (*locks, *(repository / "objects" / "pack").glob("*.keep")):
        with suppress(OSError):
            if now - lock.lstat().st_mtime > OLD_S:
                lock.unlink()
