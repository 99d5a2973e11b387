"""Locks between runs, and processes that go on holding a lock when the run has ended."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sopslab.errors import LabError
from sopslab.lab.tools.log import log
from sopslab.lab.tools.waiting import wait_until


@contextmanager
def locked(path: str | Path, seconds: float, otherwise: str, meanwhile: str = "") -> Iterator[int]:
    """Hold a lock file during the block, and yield its descriptor. Raises LabError if others hold
    the lock for longer than `seconds`.

    A process that inherits the descriptor holds the lock, too: it is free when all of these
    processes have ended, however they end.

    + seconds: how long to wait
    + otherwise: the sentence of the LabError
    + meanwhile: what the log is told if others hold the lock
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if meanwhile and not _taken(descriptor):
            log(f"{meanwhile}\n".encode())
        if not wait_until(lambda: _taken(descriptor), seconds, pause=0.1):
            raise LabError(otherwise)
        yield descriptor
    finally:
        # Only closed: unlocking would take the lock from processes that have inherited it.
        os.close(descriptor)


def is_locked(path: str | Path) -> bool:
    """Whether somebody holds a lock file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _taken(descriptor)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def go_on_alone(work: Callable[[], None]) -> None:
    """Do some work in a new process, which outlives this one and inherits its locks. What the new
    process prints is discarded."""
    if os.fork():
        return
    try:
        # A shell's background job ignores SIGINT and SIGQUIT, too; without SIGHUP, closing the
        # terminal ends nothing.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(silence, descriptor)
        work()
    finally:
        os._exit(0)
