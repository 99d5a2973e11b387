"""The lab's own program, killed before one of its changes, or before it starts a program."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pyinfra.api import StringCommand

_CHANGES = ("os.mkdir", "os.link", "os.remove", "os.rename")
_REMOVALS = ("os.remove", "os.rmdir")
_PROGRAM = """
import os, sys
from sopslab.lab.__main__ import main
left, folder, *events = int(sys.argv.pop(1)), sys.argv.pop(1), *sys.argv.pop(1).split()
def watch(event, arguments):
    global left
    if event in events and (not folder or os.fspath(arguments[0]).startswith(folder)):
        left -= 1
        if left == 0:
            os._exit(9)
sys.addaudithook(watch)
sys.exit(main())
"""


def killed_before_change(number: int, command: StringCommand, folder: Path) -> bool:
    """Run the lab's program as a command does, and kill it before its change number `number` below
    a folder. Return whether it was killed: it may make fewer changes."""
    return _killed(number, command, str(folder), _CHANGES)


def killed_before_program(number: int, command: StringCommand) -> bool:
    """Run the lab's program as a command does, and kill it before it starts its program number
    `number`. Return whether it was killed: it may start fewer programs."""
    return _killed(number, command, "", ("subprocess.Popen",))


def _killed(number: int, command: StringCommand, folder: str, events: tuple[str, ...]) -> bool:
    words = shlex.split(command.get_raw_value())
    what = words[words.index("sopslab.lab") + 1 :]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(number), folder, " ".join(events), *what],
        input=str(command.connector_arguments["_stdin"]).encode(),
        check=False,
    )
    assert done.returncode in (0, 9)
    return done.returncode == 9


def killed_in_child(number: int, folder: Path, work: Callable[[], object]) -> bool:
    """Do some work in a copy of this process, and kill the copy before its change number `number`
    below a folder. Return whether it was killed: it may make fewer changes."""
    return _killed_in_child(_Killer(number, str(folder), _CHANGES), work)


def killed_in_removal(number: int, work: Callable[[], object]) -> bool:
    """Do some work in a copy of this process, and kill the copy before it removes file or folder
    number `number`, wherever that is. Return whether it was killed: it may remove fewer."""
    # Whoever removes a tree names what is in it by the folder that is open, and no whole path.
    return _killed_in_child(_Killer(number, "", _REMOVALS), work)


def _killed_in_child(killer: _Killer, work: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.addaudithook(killer)
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


class _Killer:
    """An audit hook that ends its process before a change."""

    def __init__(self, number: int, folder: str, events: tuple[str, ...]) -> None:
        self._left = number
        self._folder = folder
        self._events = events

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in self._events or not isinstance(arguments[0], str | os.PathLike):
            return
        if os.fspath(arguments[0]).startswith(self._folder):
            self._left -= 1
            if self._left == 0:
                os._exit(9)
