"""Runs that a test ends early: it follows the events of pyinfra and kills it at a chosen moment."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sopslab.config.inputs import LOCAL
from sopslab.files.events import DESCRIPTOR
from sopslab.layout import PROJECT
from sopslab.model.events import Planned, Started, from_line
from tests.cluster.lab import SOPSLAB, Lab, wait_until

_LONGEST = 180  # seconds that no run of a test exceeds


class Run:
    """One run of pyinfra on a lab, by default of `deploy.py`, in a process group of its own.

    At the end of its block the run is over, whatever happens.
    """

    def __init__(
        self,
        lab: Lab,
        output: Path,
        deploy: str = "deploy.py",
        data: Mapping[str, str] | None = None,
        inventory: str = LOCAL,
    ) -> None:
        self.output = output
        self.plan: list[str] = []
        reader, writer = os.pipe()
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "pyinfra", inventory, deploy, "--yes",
                    *(f"--data={key}={value}" for key, value in (data or {}).items()),
                ],
                cwd=PROJECT,
                env={**lab.base_environment, DESCRIPTOR: str(writer), "PYINFRA_PROGRESS": "off"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                start_new_session=True,
            )  # fmt: skip
        os.close(writer)
        self._events = os.fdopen(reader, encoding="utf-8")
        self._alarm = threading.Timer(_LONGEST, self.kill, kwargs={"group": True})
        self._alarm.start()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        if self.process.poll() is None:
            self.kill(group=True)
        self._events.close()

    def until_start(self, chosen: Callable[[str], bool]) -> str | None:
        """Wait for the next start of an operation that is `chosen`, and return the operation; None
        if the run ends before."""
        for line in self._events:
            event = from_line(line)
            if isinstance(event, Planned):
                self.plan = [str(operation) for operation in event.operations]
            if isinstance(event, Started) and chosen(str(event.operation)):
                return str(event.operation)
        self.process.wait(timeout=_LONGEST)
        return None

    def ends_within(self, seconds: float) -> bool:
        """Return whether the run ends by itself within `seconds`."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self, *, group: bool) -> None:
        """Kill the run with SIGKILL: with all that it started, or so that its children live on."""
        if group:
            # The group is gone if pyinfra has ended and so has everything that it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait(timeout=30)


def kill_in(
    lab: Lab,
    folder: Path,
    deploy: str,
    operation: str,
    seconds: float,
    data: Mapping[str, str] | None = None,
    inventory: str = LOCAL,
) -> bool:
    """Kill a run with all that it started, `seconds` after the first operation began that has
    `operation` in its name. Return whether it was killed, and had not ended before.
    """
    with Run(lab, folder / Path(deploy).name, deploy, data, inventory) as attempt:
        started = attempt.until_start(lambda name: operation in name)
        assert started is not None, attempt.output.read_text()[-3000:]
        if attempt.ends_within(seconds):
            return False
        attempt.kill(group=True)
        return True


class HeldUp:
    """A verb that is stopped: `holder` is its process with the lab's lock, and `answer` what it
    says after it was continued.
    """

    def __init__(self, process: subprocess.Popen[str], holder: int) -> None:
        self._process, self.holder = process, holder
        self.answer: dict[str, Any] = {}

    def finish(self) -> None:
        """Wait for the end of the verb, and keep its object, with the exit code as `code`."""
        said, _ = self._process.communicate(timeout=_LONGEST)
        self.answer = {**json.loads(said), "code": self._process.returncode}


@contextmanager
def held_up(lab: Lab, verb: str, *arguments: str) -> Iterator[HeldUp]:
    """Stop a verb when it has begun to work, for as long as the block runs; then let it end."""
    lock = Path(lab.settings.lab_dir) / "lock"
    before = lock.read_text()
    process = subprocess.Popen(
        [SOPSLAB, verb, "--json", *arguments],
        env=lab.base_environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: lock.read_text() not in ("", before), "the run holds the lab's lock")
        run = HeldUp(process, int(lock.read_text()))
        os.kill(run.holder, signal.SIGSTOP)
        try:
            yield run
        finally:
            os.kill(run.holder, signal.SIGCONT)
        run.finish()
    finally:
        process.kill()
        process.wait()
