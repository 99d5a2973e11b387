"""One run at a time for a lab."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from sopslab.errors import Exit, LabError
from sopslab.lab.tools.waiting import wait_until

# These files stay open until the process ends. The kernel then releases the locks, whatever ended
# the process, so no lock is ever stale.
_held: dict[str, IO[str]] = {}


_BUSY = "this lab is being worked on by process {holder}: wait for it to finish"
_LOOK_S = 0.2
"""Within this time, whoever only looks at a lock has given it back."""


def hold(path: Path, patience: float = 0, busy: str = _BUSY) -> None:
    """Hold the lock file `path` until this process ends; holding it twice is no error.

    + patience: seconds to wait for another run to finish
    + busy: the message if the other run does not finish; `{holder}` stands for its process

    Raises LabError: with the code LOCKED if another process holds the lock, with HOST if the file
    cannot be written.
    """
    if str(path) in _held:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a+")
    except OSError as error:
        raise LabError(
            f"{path} cannot be written ({error.strerror}): choose another root with SOPSLAB_ROOT",
            Exit.HOST,
        ) from None
    if not wait_until(lambda: _taken(file, fcntl.LOCK_EX), max(patience, _LOOK_S), _LOOK_S / 2):
        holder = _holder(file)
        file.close()
        raise LabError(busy.format(holder=holder), Exit.LOCKED)
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    _held[str(path)] = file


def held_by(path: Path) -> str | None:
    """Return the process that holds a lock file; None if none does, or there is no such file."""
    try:
        file = path.open("r")
    except OSError:
        return None
    with file:
        # Others that look at the same time share the lock.
        return None if _taken(file, fcntl.LOCK_SH) else _holder(file)


def _taken(file: IO[str], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "another process"
