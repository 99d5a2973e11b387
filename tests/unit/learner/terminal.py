"""A script at a terminal of its own, as a learner who types has it."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import shutil
import subprocess
import termios
import time
from collections.abc import Sequence

from .conftest import Repository

CTRL_C, CTRL_Z, CTRL_BACKSLASH = b"\x03", b"\x1a", b"\x1c"
# GNU env, even if the scripts run with another one first in PATH.
_ENV = shutil.which("env") or "env"


def interruptible(repository: Repository, *command: str) -> list[str]:
    """Return the command line that starts a script which heeds Ctrl-C and Ctrl-\\, even if this
    process was told to ignore them."""
    return [_ENV, "--default-signal=INT,QUIT", *repository.command(*command)]


class Terminal:
    """A script with a terminal for standard input, output and error. A key such as Ctrl-C sends
    it a signal, and nothing but the script itself bounds its core file.

    + through: the words of a program that starts the script
    """

    def __init__(self, repository: Repository, *command: str, through: Sequence[str] = ()) -> None:
        self.master, self.slave = pty.openpty()
        self.output = b""
        self.process = subprocess.Popen(
            [*through, *interruptible(repository, *command)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=repository.root,
            env=repository.environment,
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )

    def expect(self, text: str) -> None:
        """Wait until the script has said something; fail if it does not."""
        deadline = time.monotonic() + 10
        while text.encode() not in self.output:
            assert time.monotonic() < deadline, self.output
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 4096)

    def answer(self, prompt: str, line: str) -> None:
        """Wait for a prompt, and type a line."""
        self.expect(prompt)
        self.output = self.output.split(prompt.encode(), 1)[1]
        self.press(line.encode() + b"\n")

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)


def _take_the_terminal() -> None:
    """Have standard input be what controls this process, and allow it a core file of any size."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
