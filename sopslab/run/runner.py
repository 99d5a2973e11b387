"""Run a deploy with pyinfra as a subprocess, follow its events, and return how it went."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sopslab.checks.causes import OURS, of_programs
from sopslab.config.inputs import LAB_FILE, LOCAL, ROSTER
from sopslab.errors import Exit, LabError
from sopslab.files import events
from sopslab.lab.tools.locks import is_locked
from sopslab.layout import PROJECT
from sopslab.model.events import (
    Ended,
    Event,
    GoesOn,
    Operation,
    Planned,
    Refused,
    SeatEnded,
    Started,
    from_line,
)
from sopslab.model.results import Status
from sopslab.policy.confine import PDEATHSIG, prctl
from sopslab.run import start

_KEPT_LOGS = 20
_QUIET_S = 30
_PIECE = 1 << 16
_SHOWN = re.compile(r"\x1b\[[0-9;]*m|^\s*\[\S+\]\s+")
_OWN = re.compile(rf"{OURS}: (.*)")
# The last line of a traceback.
_ERROR = re.compile(r"\s*((?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit))(?::|$)")


@dataclass
class StepResult:
    """What one step of a run did: its name, its seconds, and the number of its changes; also how
    many of its operations were planned and have ended, and whether the run failed in this step.
    """

    name: str
    seconds: float = 0.0
    changed: int = 0
    changes: list[str] = field(default_factory=list)
    planned: int = 0
    ended: int = 0
    failed: bool = False

    @property
    def status(self) -> Status:
        """How the step ended. It is OK only if all of its planned operations have ended."""
        if self.failed:
            return Status.FAILED
        return Status.OK if self.ended >= self.planned else Status.NOT_RUN


@dataclass
class Result:
    """How a run went.

    `code` is the exit code of the command; `problems` are sentences, empty if all went well;
    `log` is the file with pyinfra's own output; `remarks` are sentences about what was left as it
    is; `seats` tells how the run went at each seat of a room, by learner.
    """

    code: Exit
    seconds: float
    steps: list[StepResult]
    problems: list[str]
    log: Path
    remarks: list[str] = field(default_factory=list)
    seats: dict[str, SeatEnded] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """The number of operations that changed something, here or at seats of a room."""
        # For pyinfra, every seat where it has run something has changed.
        if self.seats:
            return sum(seat.changed for seat in self.seats.values())
        return sum(step.changed for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as `--json` prints it."""
        return {
            "ok": self.code is Exit.OK,
            "changed": self.changed,
            "seconds": round(self.seconds, 2),
            "steps": [
                {
                    "name": step.name,
                    "seconds": round(step.seconds, 2),
                    "changed": step.changed,
                    "changes": step.changes,
                }
                for step in self.steps
            ],
            "problems": self.problems,
            "remarks": self.remarks,
            "log": str(self.log),
        }


def run(
    deploy: str,
    data: Mapping[str, object],
    log_dir: Path,
    follow: Callable[[Event], None],
    inventory: str = LOCAL,
    stdin: str = "",
    hosts: Sequence[str] = (),
) -> Result:
    """Run `deploy` on an inventory of the project and return how it went.

    Raises LabError if the log cannot be written.

    + deploy: the deploy file, relative to the project
    + data: what overrides the inventory's data
    + log_dir: where the log goes
    + follow: called with each event as it comes
    + inventory: the inventory, relative to the project
    + stdin: what the deploy reads on standard input, where it asks for values
    + hosts: the hosts of the inventory that the deploy is run on; without any, all
    """
    log = _open_log(log_dir, Path(deploy).stem)
    reader, writer = os.pipe()
    command = [
        sys.executable, "-P", "-m", start.__name__, str(PROJECT / inventory), str(PROJECT / deploy),
        f"--group-data={PROJECT / 'group_data'}", "--yes", "--json", "-vv",
        *(f"--data={key}={value}" for key, value in data.items()),
        *(f"--limit={name}" for name in hosts),
        # Without `--parallel`, pyinfra works on some hosts first, and the others wait for the
        # slowest of these.
        *([f"--parallel={len(hosts)}"] if hosts else []),
    ]  # fmt: skip
    environment = {
        **os.environ,
        events.DESCRIPTOR: str(writer),
        "PYINFRA_PROGRESS": "off",
        # Deploys import the steps from the folder of the project.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
    }
    for name in (LAB_FILE, ROSTER):
        # The path is relative to the user's folder, but pyinfra runs in the folder of its log.
        if name in environment:
            environment[name] = str(Path(environment[name]).absolute())
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as output:
        # Locked until the run is noted, so that no other run removes the log meanwhile. The process
        # inherits the lock.
        fcntl.flock(output, fcntl.LOCK_SH)
        process = subprocess.Popen(
            command,
            # pyinfra writes a traceback of its own where it runs, and the project may be read-only.
            cwd=log_dir,
            env=environment,
            stdin=subprocess.PIPE,
            # The events tell sooner what `--json` prints. The option is there because with it,
            # pyinfra's log goes to stderr.
            stdout=subprocess.DEVNULL,
            stderr=output,
            pass_fds=(writer,),
            # In a session of its own, so that a signal from here reaches every process of the run
            # exactly once.
            start_new_session=True,
            # Ended when this process is, however that happens.
            preexec_fn=partial(prctl, PDEATHSIG, signal.SIGTERM),
        )
        os.close(writer)
        _hand_over(process, stdin)
        stopped: list[int] = []

        def stop(number: int, _frame: object) -> None:
            stopped.append(number)
            os.killpg(process.pid, signal.SIGTERM)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            story = _Story()
            for event in _events(reader):
                story.tell(event)
                follow(event)
            process.wait()
            story.break_off()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        result = Result(
            code=_code(process.returncode, stopped, story),
            seconds=time.monotonic() - started,
            steps=list(story.steps.values()),
            problems=_problems(process.returncode, stopped, story, log),
            log=log,
            remarks=story.remarks,
            seats=story.seats,
        )
        # The result matters more than its record.
        with contextlib.suppress(OSError):
            _note(result)
    return result


def _hand_over(process: subprocess.Popen[bytes], stdin: str) -> None:
    """Write the input of a run to its standard input, and close the pipe."""
    if process.stdin is not None:
        # If the pipe is broken, the run has ended already, and says itself why.
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(stdin.encode())


class _Story:
    """What the events of a run have told so far."""

    def __init__(self) -> None:
        self.steps: dict[str, StepResult] = {}
        self.refused: Exit | None = None
        # The operation that failed, or else the one that runs now: if the run breaks off, that one
        # has failed.
        self.broken: Operation | None = None
        self.failed = False
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.seats: dict[str, SeatEnded] = {}

    def tell(self, event: Event) -> None:
        match event:
            case Planned():
                for operation in event.operations:
                    self._step(operation).planned += 1
            case Started():
                if not self.failed:
                    self.broken = event.operation
            case Ended():
                self._end(event)
            case Refused():
                self.refused = event.exit
                self.problems += event.problems
            case SeatEnded():
                self.seats[event.seat] = event
                self.problems += [f"{event.seat}: {problem}" for problem in event.problems]

    def break_off(self) -> None:
        """Take the end of the events: the step of an operation that failed or did not end has
        failed."""
        if self.broken is not None:
            self._step(self.broken).failed = True

    def _step(self, operation: Operation) -> StepResult:
        return self.steps.setdefault(operation.step, StepResult(operation.step.value))

    def _end(self, event: Ended) -> None:
        step = self._step(event.operation)
        step.seconds += event.seconds
        step.ended += 1
        if event.changed:
            step.changed += 1
            step.changes.append(": ".join([event.operation.label, *event.notes]))
        else:
            self.remarks += event.notes
        if event.failed:
            self.failed, self.broken = True, event.operation
            self.problems += event.errors
        elif not self.failed:
            self.broken = None


def _events(reader: int) -> Iterator[Event]:
    """Yield each event as it comes, and `GoesOn` if none comes for a while."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    begun = b""
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while True:
            if not poll.poll(_QUIET_S * 1000):
                yield GoesOn()
                continue
            piece = pipe.read(_PIECE)
            if not piece:
                return
            *lines, begun = (begun + piece).split(b"\n")
            for line in lines:
                yield from_line(line.decode())


def _code(returncode: int, stopped: list[int], story: _Story) -> Exit:
    if stopped:
        return Exit.INTERRUPTED if stopped[0] == signal.SIGINT else Exit.TERMINATED
    if story.refused is not None:
        return story.refused
    if story.broken is not None:
        return story.broken.step.code
    return Exit.OK if returncode == 0 else Exit.FAILED


def _problems(returncode: int, stopped: list[int], story: _Story, log: Path) -> list[str]:
    if stopped:
        return ["stopped; the same command goes on from here"]
    if story.problems:
        # A script may fail at the same place more than once.
        return list(dict.fromkeys(story.problems))
    if returncode != 0 or story.broken:
        # The environment may have Python write in another encoding.
        words = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [f"{story.broken or 'the run'} failed: {sentence}" for sentence in _last(words)]
    return []


def _last(words: list[str]) -> list[str]:
    """Return what the end of a log means, in sentences: the lab's own ones in it, or else the
    cause."""
    # pyinfra puts colours and the host's name in front of each line of a host.
    ends = [_SHOWN.sub("", line) for line in words if line.strip()][-20:]
    own = [found[1] for line in ends if (found := _OWN.search(line))]
    if own:
        return own
    error = next((found[1] for line in reversed(ends) if (found := _ERROR.match(line))), None)
    if error is not None:
        return [f"an error in the program itself ({error}); the log says more"]
    return [of_programs(ends)]


def _note(result: Result) -> None:
    """Write how a run went beside its log, so that `sopslab support` shows where the time went."""
    path = result.log.with_suffix(".json")
    path.touch(mode=0o600)
    path.write_text(json.dumps(result.as_dict(), indent=2) + "\n", encoding="utf-8")


def _open_log(directory: Path, name: str) -> Path:
    path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{name}.log"
    try:
        # `mode` applies to the last folder only, and the lab's own has to be as private.
        directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.mkdir(exist_ok=True, mode=0o700)
        for old in sorted(directory.glob("*.log"))[:-_KEPT_LOGS]:
            # A log that may not be read, of root's run, may be one that is being written.
            with contextlib.suppress(PermissionError):
                if not is_locked(old):
                    old.unlink(missing_ok=True)
                    old.with_suffix(".json").unlink(missing_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise LabError(
            f"the log cannot be written to {directory}: {error.strerror}; choose another root with"
            " SOPSLAB_ROOT",
            Exit.HOST,
        ) from None
    return path
