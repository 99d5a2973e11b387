"""The lab's own program, killed before any of its changes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from pyinfra.api import StringCommand

# A change of what lies below a folder ends the process, as if it were killed before it.
_PROGRAM = """
import os, sys
from sopslab.lab.__main__ import main
left, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
def watch(event, arguments):
    global left
    if event in ("os.mkdir", "os.link", "os.remove", "os.rename"):
        left -= os.fspath(arguments[0]).startswith(folder)
        if left == 0:
            os._exit(9)
sys.addaudithook(watch)
sys.exit(main())
"""


def killed_before(number: int, command: StringCommand, folder: Path) -> bool:
    """Run what a command has the lab's program do; return whether it was killed before its change
    of that number below a folder."""
    words = shlex.split(command.get_raw_value())
    what = words[words.index("sopslab.lab") + 1 :]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(number), str(folder), *what],
        input=str(command.connector_arguments["_stdin"]).encode(),
        check=False,
    )
    assert done.returncode in (0, 9)
    return done.returncode == 9
