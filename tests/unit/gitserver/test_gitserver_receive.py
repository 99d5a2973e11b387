"""The pre-receive hook and the judges behind it: both end in time, with all processes that they
started."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sopslab.gitserver import receive
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import TEMPLATES
from tests.processes import runs
from tests.unit.gitserver import judges_at_work
from tests.unit.gitserver.gitserver_material import judging

HOOK = TEMPLATES / "git" / "hooks" / "pre-receive"
Judges = Callable[..., str]


@pytest.fixture
def judges() -> Iterator[Judges]:
    """Return a function that starts stand-ins for the judges; it returns their address."""
    with ExitStack() as started:

        def start(work: Callable[[str], int | None], seconds: float = 60) -> str:
            instead = (work.__name__, str(seconds))
            return started.enter_context(judging(Path("/"), *instead))

        yield start


def ask(address: str, given: object = "", **more: Any) -> subprocess.Popen[str]:
    """Start the hook as git does, with git's input."""
    with tempfile.TemporaryFile("w+") as told:
        told.write(str(given))
        told.seek(0)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(
            [sys.executable, "-SP", HOOK],
            stdin=told, text=True,
            env={**os.environ, "SOPSLAB_JUDGES": address}, **{**streams, **more},
        )  # fmt: skip


def is_at_work(file: Path) -> bool:
    """Return whether the process runs whose number is in a file, once it is there."""
    number = file.read_text() if file.exists() else ""
    return number != "" and runs(number)


def test_what_takes_too_long_is_refused_and_leaves_nothing_behind(
    judges: Judges, tmp_path: Path
) -> None:
    hook = ask(judges(judges_at_work.hangs, seconds=2), tmp_path / "pid")
    said = hook.communicate(timeout=30)[0]
    assert "refused: this push could not be judged within 2 s" in said
    assert hook.returncode == 1
    assert not is_at_work(tmp_path / "pid")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_hook(judges: Judges, tmp_path: Path, number: signal.Signals) -> None:
    hook = ask(judges(judges_at_work.hangs), tmp_path / "pid")
    assert wait_until(lambda: is_at_work(tmp_path / "pid"), 20, 0.02)
    hook.send_signal(number)
    assert wait_until(lambda: not is_at_work(tmp_path / "pid"), 20, 0.02)
    hook.communicate(timeout=20)


@pytest.mark.parametrize(("answer", "expected"), [("0", 0), ("1", 1), ("none", 2)])
def test_what_is_judged_in_time_counts(judges: Judges, answer: str, expected: int) -> None:
    hook = ask(judges(judges_at_work.answers, seconds=9), answer)
    said = hook.communicate(timeout=30)[0]
    assert hook.returncode == expected
    assert "Traceback" not in said


def test_a_push_is_judged_where_git_started_the_hook_and_as_it_did(
    judges: Judges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "the judges' own")
    address = judges(judges_at_work.repeats)
    monkeypatch.delenv("OURS")
    niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)
    for pushed in ("one\nof two lines", "\udcff", ""):
        monkeypatch.setenv("PUSHED", pushed)
        hook = ask(address, "given", cwd=tmp_path, preexec_fn=lambda: os.nice(7))
        said = hook.communicate(timeout=30)[0]
        assert said == f"given {tmp_path} {os.fsencode(pushed)!r} None {niceness}\n"
        assert hook.returncode == 3


def test_what_is_not_told_to_the_end_is_not_judged(
    judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        monkeypatch.setenv(f"LONG_{number}", "x" * 100_000)
    hook = ask(judges(judges_at_work.answers), 0)
    said = hook.communicate(timeout=30)[0]
    assert hook.returncode == 2, said


def test_what_judges_a_push_is_not_bounded_as_git_is(judges: Judges) -> None:
    bound = (256 * 1024 * 1024, resource.RLIM_INFINITY)
    hook = ask(
        judges(judges_at_work.is_bound),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, bound),
    )
    said = hook.communicate(timeout=30)[0]
    assert hook.returncode == 0, said


def test_a_push_that_takes_up_all_memory_is_refused_with_the_reason(judges: Judges) -> None:
    hook = ask(judges(judges_at_work.takes_too_much))
    said = hook.communicate(timeout=30)[0]
    assert "refused: this push needs more memory than there is to judge it" in said
    assert hook.returncode == signal.SIGKILL


def test_a_push_that_nobody_judges_is_refused(judges: Judges, tmp_path: Path) -> None:
    for address in (str(tmp_path / "nobody"), judges(judges_at_work.is_left_alone)):
        hook = ask(address, tmp_path / "pid")
        assert "refused: nobody has judged this push" in hook.communicate(timeout=30)[0]
        assert hook.returncode
    # The worker lost its parent. If it went on, nothing would limit its time.
    assert wait_until(lambda: not is_at_work(tmp_path / "pid"), 10, 0.02)


def test_a_push_for_which_there_is_no_process_is_refused_and_the_next_is_judged(
    judges: Judges,
) -> None:
    address = judges(judges_at_work.has_no_process_at_first)
    for refused in (True, False):
        hook = ask(address)
        said = hook.communicate(timeout=30)[0]
        assert (hook.returncode != 0) is refused, said


def test_what_judges_a_push_has_the_streams_of_the_hook(judges: Judges) -> None:
    address = judges(judges_at_work.says)
    for stream, expected in (("stdout", ("said", "")), ("stderr", ("", "said"))):
        hook = ask(address, f"{stream} 0", stderr=subprocess.PIPE)
        assert hook.communicate(timeout=30) == expected


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("judged", ["1", "0", "None"])
def test_what_cannot_be_said_is_not_accepted(
    judges: Judges, monkeypatch: pytest.MonkeyPatch, stream: str, judged: str
) -> None:
    # With this variable set, Python would write at once.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    read, write = os.pipe()
    os.close(read)
    hook = ask(judges(judges_at_work.says), f"{stream} {judged}", **{stream: write})
    os.close(write)
    assert hook.wait(timeout=30)


def test_a_push_that_takes_long_makes_way_for_others(judges: Judges) -> None:
    hook = ask(judges(judges_at_work.makes_way))
    said = hook.communicate(timeout=60)[0]
    assert hook.returncode == 0, said


def test_what_is_said_of_a_push_has_an_end_and_keeps_its_last_line() -> None:
    lines = [f"{number} {'x' * 100}" for number in range(2000)]
    text = "\n".join([*lines, "nothing is let through"])
    said = receive.shortened(text).splitlines()
    assert said[-2:] == ["… and more, which is not shown here", "nothing is let through"]
    assert said[:-2] == lines[: len(said) - 2]
    assert 60_000 < sum(map(len, said)) < 70_000
    assert receive.shortened("a\nb") == "a\nb"
