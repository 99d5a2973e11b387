"""The pre-receive hook as a whole: it ends in time, and with it whatever it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from tests.unit.gitserver.gitserver_material import eventually

# What is judged starts a process in a session of its own and comes to no end.
HANGS = """
import subprocess, sys, time
from sopslab.gitserver.receive import supervised
def work():
    child = subprocess.Popen(["setsid", "sleep", "61"])
    open(sys.argv[1], "w").write(str(child.pid))
    while True:
        time.sleep(1)
sys.exit(supervised(work, float(sys.argv[2])))
"""


def start(file: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", "-c", '"$@"; echo "exit $?"', "sh", sys.executable, "-c", HANGS, str(file),
         str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip


def runs(file: Path) -> bool:
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_what_takes_too_long_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    said = start(tmp_path / "pid", 2).communicate(timeout=30)[0]
    assert "refused: this push could not be judged within 2 s" in said
    assert said.endswith("exit 1\n")
    assert not runs(tmp_path / "pid")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_git_whose_hook_it_is(tmp_path: Path, number: signal.Signals) -> None:
    pushed = start(tmp_path / "pid", 60)
    assert eventually(lambda: runs(tmp_path / "pid"), 20)
    pushed.send_signal(number)
    assert eventually(lambda: not runs(tmp_path / "pid"), 20)


@pytest.mark.parametrize(("code", "expected"), [("0", 0), ("1", 1), ("1 // 0", 2)])
def test_what_is_judged_in_time_counts(code: str, expected: int) -> None:
    text = f"import sys, sopslab.gitserver.receive as r; sys.exit(r.supervised(lambda: {code}, 9))"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert done.returncode == expected
    assert "Traceback" not in done.stderr


SLOW = """
import os, subprocess, sys, time
import sopslab.gitserver.receive as r
from sopslab.gitserver.niceness import WAY
r.LONG_SECONDS = 0.2
def work():
    child = subprocess.Popen(["setsid", "sleep", "61"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if [os.getpriority(os.PRIO_PROCESS, pid) for pid in (0, child.pid)] == [WAY, WAY]:
            return 0
        time.sleep(0.05)
    return 1
sys.exit(r.supervised(work, 25))
"""


def test_a_push_that_takes_long_makes_way_for_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
