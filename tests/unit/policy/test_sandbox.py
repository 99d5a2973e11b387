"""What a program may use while it works on a stranger's files, and how its end is reported."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from sopslab.lab.tools.waiting import wait_until
from sopslab.policy import sandbox
from tests.processes import runs

PYTHON = [sys.executable, "-I", "-S", "-c"]


def run(code: str, folder: Path) -> sandbox.Outcome:
    """Run a line of Python in the sandbox."""
    return sandbox.run([*PYTHON, code], folder)


def test_a_program_that_keeps_to_its_bounds_is_let_run(tmp_path: Path) -> None:
    assert run("print('a')", tmp_path) == sandbox.Outcome(0, "a\n")
    assert run("raise SystemExit(1)", tmp_path) == sandbox.Outcome(1)


def test_nothing_of_the_caller_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_QUARANTINE_PATH", "/somewhere")
    told = run("import os; print(sorted(os.environ)); print(os.listdir('/proc/self/fd'))", tmp_path)
    names, descriptors = told.output.splitlines()
    assert {"HOME", "PATH", "TMPDIR"} <= set(ast.literal_eval(names)) and "GIT_" not in names
    # The three descriptors of every program, and that of the folder being listed.
    assert ast.literal_eval(descriptors) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "code",
    [
        "import _socket; _socket.socket()",
        "import _socket; _socket.socket(_socket.AF_UNIX)",
        "import ctypes; ctypes.CDLL(None).syscall(425, 1, 0)",
        "import os, _socket; os.fork() or _socket.socket()\nos.kill(0, 31)",
    ],
    ids=["inet", "unix", "io_uring", "a-child"],
)
def test_no_socket_is_opened(code: str, tmp_path: Path) -> None:
    assert run(code, tmp_path).refusal == "needs the network to be built"


def test_time_on_a_processor_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "CPU_S", 1)
    assert (
        run("while 1: pass", tmp_path).refusal == "needs more than 1 s of a processor to be built"
    )


def test_waiting_is_bounded_and_children_end_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "WALL_S", 3)
    child = tmp_path / "child"
    told = f"open('{child}', 'w').write(str(os.getpid()))"
    code = f"import os, time; os.fork() or {told}; time.sleep(99)"
    assert "is not built within" in run(code, tmp_path).refusal
    pid = int(child.read_text())
    assert wait_until(lambda: not runs(pid), 5, pause=0.05), "a child was left"


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MEMORY", 64 << 20)
    code = "import mmap\ntry: mmap.mmap(-1, 1 << 27, 2)\nexcept OSError as e: print(e.errno)"
    assert run(code, tmp_path) == sandbox.Outcome(0, "12\n")


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("import os; os.write(2, b'fatal error: runtime: out of memory'); os._exit(2)", "MiB"),
        ("import os\nwhile 1: os.write(1, b'x' * 65536)", "comes to more than"),
        ("import os\nwhile 1: os.write(2, b'x' * 65536)", "comes to more than"),
        ("import os; os.kill(os.getpid(), 11)", "brings down the program"),
        ("import os; os.kill(os.getpid(), 9)", "needs more than the Git server has"),
    ],
    ids=["memory", "output", "errors", "crash", "killed"],
)
def test_every_other_end_is_refused(code: str, refusal: str, tmp_path: Path) -> None:
    assert refusal in run(code, tmp_path).refusal
