"""A stand-in for gitleaks: no process is started, and the test decides what gitleaks reports."""

from __future__ import annotations

import io
import json
import subprocess
import threading
from typing import cast

from sopslab.policy.gitleaks import Begun


class Pipe:
    """The input of a process: it keeps what is written, or breaks as if the reader had gone."""

    def __init__(self, *, breaks: bool) -> None:
        self.breaks, self.tries, self.content, self.closed = breaks, 0, b"", False
        self.came = threading.Event()

    def write(self, data: bytes) -> None:
        """Keep the data."""
        self.tries += 1
        if self.breaks:
            raise BrokenPipeError
        self.content += data

    def flush(self) -> None:
        """Tell the test that something came."""
        self.came.set()

    def close(self) -> None:
        """Note the end of the input."""
        self.closed = True
        if self.breaks:
            raise BrokenPipeError


class Process:
    """A process that reports what the test decided."""

    def __init__(
        self, report: object = (), *, code: int = 0, breaks: bool = False, hangs: bool = False
    ) -> None:
        text = report if isinstance(report, str) else json.dumps(report)
        self.stdin, self.stdout = Pipe(breaks=breaks), io.BytesIO(text.encode())
        self._code, self._hangs = code, hangs
        self.killed = False

    def wait(self, timeout: float) -> int:
        """Return the exit code, unless it hangs."""
        assert 60 <= timeout <= 600
        if self._hangs:
            raise subprocess.TimeoutExpired("gitleaks", timeout)
        return self._code

    def kill(self) -> None:
        """Note that the process was killed."""
        self.killed = True

    @property
    def begun(self) -> Begun:
        """This process, in the form in which the policy starts gitleaks."""
        return Begun(cast("subprocess.Popen[bytes]", self))


def finding(start: int, end: int, rule: str = "a-rule") -> dict[str, object]:
    """Return a finding as gitleaks reports it."""
    return {"StartLine": start, "EndLine": end, "RuleID": rule}
