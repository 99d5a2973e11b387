"""Programs on another machine, started over SSH; every wait for them is bounded.

All programs on a machine share one handshake. The code also works in greenlets of gevent: while one
of them waits, the others go on.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sopslab.errors import Exit, LabError
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.machines import Machine
from sopslab.policy.confine import PDEATHSIG, prctl
from sopslab.room.client import Client
from sopslab.room.refusals import FLOOD, HUNG, LOST, Refusal, refusal, sentence

# A dead machine is noticed within this time.
FIRST_S = 10
# OpenSSH's exit code if the connection failed, and not the program.
_FAILED = 255
_PIECE = 1 << 16
# How many bytes of output may arrive before they are read, and how many of standard error are kept.
_MOST = 1 << 24
_MOST_WORDS = 1 << 16
_PAUSES_S = (0.2, 1.0)


class Unreachable(LabError):
    """A machine cannot be reached, or the connection broke: one sentence with the next step."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.HOST)


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code, its output (`out`), and its standard error (`words`),
    which verbs never show as it is. `said` is what OpenSSH itself wrote meanwhile."""

    code: int
    out: bytes
    words: bytes
    said: bytes = b""


class Late(Exception):
    """A wait took too long."""


class Flooded(Late):
    """A machine sent more than may wait to be read."""


class Process:
    """OpenSSH's client as a process: its input and output, with bounded waits.

    It works with pipes and without threads, because pyinfra runs it in greenlets. Standard error is
    a pipe and not a file, because a machine may send any amount there.

    + log: the file in which OpenSSH writes its own messages
    """

    def __init__(self, command: Sequence[str], log: Path | None = None) -> None:
        given, self._given = os.pipe()
        self._said, said = os.pipe()
        self._worded, worded = os.pipe()
        for mine in (self._given, self._said, self._worded):
            os.set_blocking(mine, False)
        try:
            # In a process group of its own, so that `kill` also reaches the processes that OpenSSH
            # starts, for a jump host or to keep a connection open. It is ended when this process
            # is, however that happens.
            self._process = subprocess.Popen(
                list(command), stdin=given, stdout=said, stderr=worded, start_new_session=True,
                preexec_fn=partial(prctl, PDEATHSIG, signal.SIGTERM),
            )  # fmt: skip
        except OSError as error:
            for mine in (self._given, self._said, self._worded):
                os.close(mine)
            raise LabError(f"{command[0]} cannot be run: {error.strerror}", Exit.HOST) from None
        finally:
            for theirs in (given, said, worded):
                os.close(theirs)
        self._open = {self._given, self._said, self._worded}
        self.out = bytearray()
        self._words = bytearray()
        self._log = log

    def write(self, data: bytes, patience: float) -> None:
        """Send bytes. Raises BrokenPipeError if the reader is gone, and Late if none were read for
        `patience` seconds."""
        view = memoryview(data)
        deadline = Deadline(patience)
        while view:
            if not self._turn(deadline, writing=True):
                continue
            written = os.write(self._given, view[:_PIECE])
            view = view[written:]
            deadline = Deadline(patience)

    def line(self, patience: float) -> bytes | None:
        """Return the next line that is printed, None after the last. Raises Late."""
        deadline = Deadline(patience)
        while (end := self.out.find(b"\n")) < 0 and self._said in self._open:
            self._turn(deadline)
        if end < 0:
            return None
        line = bytes(self.out[:end])
        del self.out[: end + 1]
        return line

    def end(self, patience: float) -> Ended:
        """Close the input, wait for the end, and return how the program ended, with the output that
        was not read yet. Raises Late."""
        deadline = Deadline(patience)
        self._close(self._given)
        while self._said in self._open:
            self._turn(deadline)
        try:
            code = self._process.wait(deadline.left)
        except subprocess.TimeoutExpired:
            raise Late from None
        # Read only what is there: older versions of OpenSSH keep standard error open as long as the
        # connection is.
        self._read(self._worded, self._words)
        return Ended(code, bytes(self.out), bytes(self._words), self._logged())

    def _logged(self) -> bytes:
        """Return the beginning of OpenSSH's messages. Later ones may come from a server."""
        if self._log is None:
            return b""
        with self._log.open("rb") as file:
            return file.read(_MOST_WORDS)

    def kill(self) -> None:
        """Kill OpenSSH and the processes that it started, unless it has ended; close the pipes."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for descriptor in list(self._open):
            self._close(descriptor)

    def _turn(self, deadline: Deadline, *, writing: bool = False) -> bool:
        """Read what has arrived; return whether something can be sent. Raises Late."""
        poll = select.poll()
        for descriptor in self._open - {self._given}:
            poll.register(descriptor, select.POLLIN)
        if writing:
            poll.register(self._given, select.POLLOUT)
        ready = dict(poll.poll(deadline.left * 1000))
        # Standard error is read without end, so it must not be what a wait goes on for.
        if not ready or (deadline.is_over and list(ready) == [self._worded]):
            raise Late
        if self._worded in ready:
            self._read(self._worded, self._words)
            del self._words[:-_MOST_WORDS]
        if self._said in ready:
            self._read(self._said, self.out)
            if len(self.out) > _MOST:
                raise Flooded
        return self._given in ready

    def _read(self, descriptor: int, into: bytearray) -> None:
        with suppress(BlockingIOError):
            piece = os.read(descriptor, _PIECE) if descriptor in self._open else b""
            into += piece
            if not piece:
                self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)


class Session:
    """A program at work on a machine."""

    def __init__(self, process: Process, connection: Connection) -> None:
        self._process = process
        self._connection = connection

    def write(self, data: bytes, patience: float) -> None:
        """Send bytes to the program. Raises BrokenPipeError if it has ended, and Unreachable if it
        reads nothing for `patience` seconds."""
        with self._connection.clock():
            self._process.write(data, patience)

    def line(self, patience: float) -> str | None:
        """Return the next line that the program prints, None after the last.

        Raises Unreachable if none comes within `patience` seconds.
        """
        with self._connection.clock():
            line = self._process.line(patience)
        return None if line is None else line.decode("utf-8", "replace")

    def end(self, patience: float) -> Ended:
        """Close the program's standard input and wait for its end, at most `patience` seconds.

        Raises Unreachable if the connection failed, or if the program does not end.
        """
        with self._connection.clock():
            ended = self._process.end(patience)
        if ended.code == _FAILED:
            raise self._connection.lost(ended)
        return ended


class Connection:
    """A machine on which programs are started; the first call connects."""

    def __init__(self, client: Client, machine: Machine) -> None:
        self.machine = machine
        self._client = client
        self._is_open = False

    def open(self) -> None:
        """Connect, unless the connection is open already. Raises Unreachable within 10 s.

        If the machine or a jump host has too many connections at the moment, this method tries
        again within that time.
        """
        if self._is_open:
            return
        deadline, found = Deadline(FIRST_S), HUNG
        while True:
            self._client.pin(self.machine)
            with self._process("true") as process, self.clock(found):
                ended = process.end(deadline.left)
            if ended.code == 0:
                self._is_open = True
                return
            if ended.code != _FAILED:
                raise Unreachable(
                    f"{self.machine}: its shell runs no programs; give the account there one"
                )
            found = refusal(ended.said)
            pause = random.uniform(*_PAUSES_S)
            if not found.again or deadline.left < pause:
                raise self._unreachable(found)
            time.sleep(pause)

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[Session]:
        """Start a program, and yield it. At the end of the block, the local process is killed,
        which closes the program's input."""
        self.open()
        with self._process(*command) as process:
            yield Session(process, self)

    def run(self, command: Sequence[str], stdin: bytes = b"", patience: float = 60) -> Ended:
        """Run a program, and return how it ended. Raises Unreachable."""
        with self.start(command) as session:
            # A program may end without reading its input.
            with suppress(BrokenPipeError):
                session.write(stdin, patience)
            return session.end(patience)

    def close(self) -> None:
        """End the connection, if one is open."""
        self._is_open = False
        with suppress(Late), self._running(self._client.order(self.machine, "exit")) as process:
            process.end(2)

    @contextmanager
    def clock(self, found: Refusal = HUNG) -> Iterator[None]:
        """Raise Unreachable if a wait in the block takes too long, and give up the connection.

        + found: the reason that is given
        """
        try:
            yield
        except Late as late:
            self.close()
            raise self._unreachable(FLOOD if isinstance(late, Flooded) else found) from None

    def lost(self, ended: Ended) -> Unreachable:
        """Return the exception to raise after the connection failed while a program ran."""
        self._is_open = False
        # If another process of OpenSSH keeps the connection open, this one writes no message.
        return self._unreachable(refusal(ended.said, LOST))

    def _unreachable(self, found: Refusal) -> Unreachable:
        return Unreachable(sentence(self.machine, found, self._client.known_hosts))

    @contextmanager
    def _process(self, *command: str) -> Iterator[Process]:
        with (
            self._client.log() as log,
            self._running(self._client.command(self.machine, *command, log=log), log) as process,
        ):
            yield process

    @contextmanager
    def _running(self, command: Sequence[str], log: Path | None = None) -> Iterator[Process]:
        process = Process(command, log)
        try:
            yield process
        finally:
            process.kill()
