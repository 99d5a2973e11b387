"""What a program prints, within bounds.

Whoever writes a repository decides what git prints of it: of a few megabytes of commits it can list
gigabytes of changes.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sopslab.policy.processes import kill_with_descendants

_PIECE = 64 * 1024
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Bounds:
    """How many bytes a program may print, and how many seconds it may take."""

    size: int
    seconds: float


class Exceeded(Exception):
    """A program has printed more than it may, or taken longer; the text says which."""


def printed(
    argv: Sequence[str], environment: Mapping[str, str], bounds: Bounds, *, stdin: bytes = b""
) -> Generator[bytes, None, None]:
    """Yield what a program prints, in pieces. The program ends with the iteration.

    A program that has closed its output is waited for. Raises OSError if it cannot be started,
    Exceeded, and CalledProcessError if it fails.
    """
    deadline = time.monotonic() + bounds.seconds
    process = subprocess.Popen(
        list(argv),
        env=dict(environment),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    writer = threading.Thread(target=write_all, args=(process, stdin), daemon=True)
    with process:
        if stdin:
            writer.start()
        try:
            yield from _pieces(process, bounds, deadline)
        except BaseException:
            kill_with_descendants(process)
            raise
        finally:
            if stdin:
                writer.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv[0])


def _pieces(process: subprocess.Popen[bytes], bounds: Bounds, deadline: float) -> Iterator[bytes]:
    assert process.stdout is not None
    stream, left = process.stdout.fileno(), bounds.size
    ready = select.poll()
    ready.register(stream, select.POLLIN)
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0 or not ready.poll(1000 * seconds):
            raise Exceeded(f"takes longer than {bounds.seconds:g} s")
        piece = os.read(stream, _PIECE)
        if not piece:
            return
        left -= len(piece)
        if left < 0:
            raise Exceeded(f"prints more than {bounds.size // _MIB} MiB")
        yield piece


def write_all(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write everything to a program's standard input, and close it; end early if the program is
    gone, which whoever reads its output reports."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(data)
    with suppress(OSError):
        process.stdin.close()
