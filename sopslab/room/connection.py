"""Programs that are started on another machine over SSH, and are always awaited with a clock.

One handshake serves all of them. It works in greenlets of gevent as well: while one waits, others
go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sopslab.errors import LabError
from sopslab.model.machines import Machine
from sopslab.room.client import Client

# A machine that is dead is known within this time.
FIRST_S = 10


class Unreachable(LabError):
    """A machine cannot be reached, or the connection ended: one sentence with the next step."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, what it printed, and the words of its standard error,
    for a log and never to be shown."""

    code: int
    out: bytes
    words: bytes


class Session:
    """A program at work on a machine."""

    def write(self, data: bytes, patience: float) -> None:
        """Send bytes to the program. Raises BrokenPipeError once it has ended, and Unreachable
        where it takes nothing for as long as `patience`, in seconds."""
        raise NotImplementedError

    def line(self, patience: float) -> str | None:
        """Return the next line that it prints, None behind the last.

        Raises Unreachable where none comes within `patience`, in seconds.
        """
        raise NotImplementedError

    def end(self, patience: float) -> Ended:
        """Close its standard input and await its end, within `patience` seconds.

        Raises Unreachable where the connection failed, or it does not end.
        """
        raise NotImplementedError


class Connection:
    """A machine that programs are started on; the first call connects."""

    def __init__(self, client: Client, machine: Machine) -> None:
        self.machine = machine
        self._client = client

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[Session]:
        """Start a program, and end it here and there when the block is left."""
        raise NotImplementedError

    def run(self, command: Sequence[str], stdin: bytes = b"", patience: float = 60) -> Ended:
        """Return how a program ended. Raises Unreachable."""
        raise NotImplementedError

    def close(self) -> None:
        """End the connection, if one is open."""
        raise NotImplementedError
