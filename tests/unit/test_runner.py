"""Runs of pyinfra as a subprocess: the events of a run, and the code with which it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.cli.run_report import as_results
from sopslab.errors import Exit
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import PROJECT
from sopslab.model.events import Ended, Event, GoesOn, Operation, Planned, Refused, Started
from sopslab.model.results import Status
from sopslab.model.steps import Step
from sopslab.run import runner
from sopslab.run.runner import Result, run

STORY = "tests/data/deploys/story.py"
PROGRAM = f"""
import sys
from pathlib import Path
from sopslab.model.results import Status
from sopslab.run.runner import run
result = run({STORY!r}, {{}}, Path(sys.argv[1]), lambda event: None)
print(result.problems)
sys.exit(result.code)
"""

Runs = Callable[..., tuple[Result, list[Event]]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the lab that is run; nothing else names a lab."""
    for name in ("SOPSLAB_FILE", "SOPSLAB_LAB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "root"))
    return tmp_path / "root"


@pytest.fixture
def story(root: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Return a function that runs the harmless deploy; it returns the result and the events."""
    # No event about a silent run comes, however slow the machine is.
    monkeypatch.setattr(runner, "_QUIET_S", 3600)

    def tell(**data: object) -> tuple[Result, list[Event]]:
        events: list[Event] = []
        return run(STORY, data, root / "log", events.append), events

    return tell


def ends(events: list[Event]) -> list[Ended]:
    return [event for event in events if isinstance(event, Ended)]


def test_a_run_tells_its_plan_its_steps_and_what_they_changed(story: Runs) -> None:
    result, events = story()
    steps = (Step.HOST, Step.KEYS, Step.CANARY)
    operations = tuple(Operation(step, f"Make {step}") for step in steps)
    assert events[0] == Planned(operations)
    assert [
        (type(event), event.operation) for event in events[1:] if isinstance(event, Started | Ended)
    ] == [(kind, operation) for operation in operations for kind in (Started, Ended)]
    assert [event.notes for event in ends(events)] == [
        ("host was missing",),
        ("keys was missing",),
        ("canary was missing",),
    ]
    assert (result.code, result.changed, result.problems) == (Exit.OK, 3, [])
    assert [step.name for step in result.steps] == ["Host", "Keys", "Canary"]
    assert result.steps[0].changes == ["Make Host: host was missing"]
    assert 0 < sum(step.seconds for step in result.steps) <= result.seconds

    again, events = story()
    assert (again.code, again.changed) == (Exit.OK, 0)
    assert not any(event.changed or event.notes for event in ends(events))


def test_a_run_that_has_nothing_to_tell_says_that_it_goes_on(
    story: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_QUIET_S", 0.05)
    result, events = story()
    assert GoesOn() in events and result.changed == 3
    assert [type(event) for event in events if event != GoesOn()] == [
        Planned, *[Started, Ended] * 3
    ]  # fmt: skip


def test_the_result_is_one_json_object_and_its_log_is_private(story: Runs, root: Path) -> None:
    (root / "log").mkdir(parents=True, mode=0o700)
    for number in range(30):
        (root / "log" / f"20260101T{number:06}-deploy.log").write_text("")
    shown = json.loads(json.dumps(story()[0].as_dict()))
    assert set(shown) == {"ok", "changed", "seconds", "steps", "problems", "remarks", "log"}
    assert (shown["ok"], shown["changed"]) == (True, 3)
    assert set(shown["steps"][0]) == {"name", "seconds", "changed", "changes"}
    log = Path(shown["log"])
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert "Make Canary" in log.read_text()
    # The newest of the old logs are kept.
    kept = sorted(path.name for path in log.parent.glob("*.log"))
    assert (len(kept), kept[0]) == (21, "20260101T000010-deploy.log")
    # The result is beside the log.
    noted = log.with_suffix(".json")
    assert noted.stat().st_mode & 0o777 == 0o600
    assert json.loads(noted.read_text())["steps"] == shown["steps"]


def test_a_failed_step_ends_the_run_with_its_own_code_and_words_and_the_next_run_goes_on(
    story: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPSLAB_TEST_FAIL", "keys")
    failed, events = story()
    assert failed.code is Exit.KEYS
    assert failed.problems == ["keys cannot be made: it's broken", "try again"]
    assert [step.changed for step in failed.steps] == [1, 0, 0]
    assert isinstance(events[-1], Ended)
    assert (events[-1].operation, events[-1].failed) == (Operation(Step.KEYS, "Make Keys"), True)
    monkeypatch.delenv("SOPSLAB_TEST_FAIL")
    result, _events = story()
    assert [step.changed for step in result.steps] == [0, 1, 1]


def told(result: Result) -> list[tuple[str, Status, str]]:
    return [(case.id, case.status, case.found) for case in as_results(result)]


def test_a_run_is_a_result_for_each_step(story: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPSLAB_TEST_FAIL", "keys")
    assert told(story()[0]) == [
        ("Host", Status.OK, "Make Host: host was missing"),
        ("Keys", Status.FAILED, "keys cannot be made: it's broken try again"),
        ("Canary", Status.NOT_RUN, "the run ended before it was done"),
    ]
    monkeypatch.delenv("SOPSLAB_TEST_FAIL")
    assert told(story()[0])[0] == ("Host", Status.OK, "nothing to do")


def test_a_run_that_is_refused_is_one_result(story: Runs) -> None:
    (refused,) = told(story(learner="nobody")[0])
    assert refused[:2] == ("run", Status.FAILED)
    assert refused[2].startswith("learner: ")


def test_bad_input_is_refused_with_every_problem_and_nothing_is_made(
    story: Runs, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab.yaml").write_text("lab: Demo\ngit_port: 0\n")
    # A user names a file relative to the folder in which the command is typed.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOPSLAB_FILE", "lab.yaml")
    result, events = story(learner="nobody")
    assert result.code is Exit.INPUT
    assert [problem.split(":")[0] for problem in result.problems] == ["lab", "git_port", "learner"]
    assert [type(event) for event in events] == [Refused]
    assert [path.name for path in root.iterdir()] == ["log"]


def test_a_deploy_that_breaks_names_the_error_and_has_its_words_in_the_log(root: Path) -> None:
    result = run("tests/data/deploys/broken.py", {}, root / "log", lambda _event: None)
    assert result.code is Exit.FAILED
    (problem,) = result.problems
    assert "RuntimeError" in problem and "this deploy is broken" not in problem
    assert "this deploy is broken" in result.log.read_text()


def test_a_log_in_another_encoding_names_the_error_as_well(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(b"Zo\xeb\nRuntimeError: this deploy is broken\n")
    (problem,) = runner._problems(1, [], runner._Story(), log)
    assert "RuntimeError" in problem


def test_what_pyinfra_writes_of_a_mistake_is_beside_the_log(root: Path) -> None:
    before = set(PROJECT.iterdir())
    result = run("tests/data/deploys/internal.py", {}, root / "log", lambda _event: None)
    assert result.code is Exit.FAILED
    assert "this operation is broken" in (root / "log" / "pyinfra-debug.log").read_text()
    assert set(PROJECT.iterdir()) == before


@pytest.fixture
def waiting(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Return a function that starts a run in a process of its own, and waits until the second step
    waits."""
    monkeypatch.setenv("SOPSLAB_TEST_WAIT", "keys")
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, root / "log"],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert wait_until((root / "waiting").exists, 30, 0.02)
        return process

    yield start
    (root / "waiting").unlink(missing_ok=True)
    for process in started:
        process.kill()
        process.communicate()


def free(lock: Path) -> bool:
    return subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0


def test_sigterm_stops_the_run_at_once_with_its_code(
    waiting: Callable[[], subprocess.Popen[str]], root: Path
) -> None:
    process = waiting()
    started = time.monotonic()
    process.terminate()
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - started < 10
    assert "stopped; the same command goes on" in output
    assert (root / "labs" / "host").is_dir()
    assert not (root / "labs" / "canary").exists()
    assert free(root / "labs" / "lab" / "lock")


def test_a_keyboard_interrupt_is_no_success(waiting: Callable[[], subprocess.Popen[str]]) -> None:
    # A terminal sends SIGINT to pyinfra as well, which ends with exit code 0 then.
    process = waiting()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_log_is_removed_by_later_runs_only_when_its_own_has_ended(
    waiting: Callable[[], subprocess.Popen[str]],
    story: Runs,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = waiting()
    (log,) = (root / "log").glob("*.log")
    for number in range(30):
        (root / "log" / f"99990101T{number:06}-status.log").touch()
    monkeypatch.delenv("SOPSLAB_TEST_WAIT")
    story()
    assert log.exists()
    process.kill()
    process.communicate(timeout=20)
    # pyinfra ends as well, and writes no more.
    assert wait_until(lambda: free(log), 30, 0.02)
    story()
    assert not log.exists()


def test_two_runs_do_not_work_on_one_lab_and_a_killed_one_makes_way_for_the_next(
    waiting: Callable[[], subprocess.Popen[str]],
    story: Runs,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = waiting()
    monkeypatch.delenv("SOPSLAB_TEST_WAIT")
    second, _events = story()
    assert second.code is Exit.LOCKED
    holder = (root / "labs" / "lab" / "lock").read_text().strip()
    assert second.problems == [
        f"this lab is being worked on by process {holder}: wait for it to finish"
    ]
    assert "Traceback" not in second.log.read_text()
    process.kill()
    process.communicate(timeout=20)
    # pyinfra ends as well, and its lock with it.
    assert wait_until(lambda: free(root / "labs" / "lab" / "lock"), 30, 0.02)
    third, _events = story()
    assert third.code is Exit.OK
    assert [step.changed for step in third.steps] == [0, 1, 1]
