"""The lab's own program, killed before any of its changes, or of the programs that it starts."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from pyinfra.api import StringCommand

_CHANGES = ("os.mkdir", "os.link", "os.remove", "os.rename")
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
    """Run what a command has the lab's program do; return whether it was killed before its change
    of that number below a folder."""
    return _killed(number, command, str(folder), _CHANGES)


def killed_before_program(number: int, command: StringCommand) -> bool:
    """Run the same; return whether it was killed before it started another program for the time
    of that number."""
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
