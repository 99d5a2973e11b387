"""Processes that tests started, or had started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopslab.layout import PROJECT

_HOLD = """
import sys
from pathlib import Path
from sopslab.run.lock import hold
hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another run hold a lock during the block, and yield its process."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, lock],
        cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process


def runs(pid: int | str) -> bool:
    """Return whether a process is there, and not one that has ended and waits to be seen."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
