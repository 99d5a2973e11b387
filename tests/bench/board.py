"""The board of a class while learners push: what it costs, and how soon a change shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from tests.bench.figures import spread
from tests.bench.watching import of_children
from tests.cluster.classroom import Classroom

VIEWERS = 20
PUSHES, EVERY_S = 4, 20.0
# The seat that pushes.
WORKER = "seat-050"
_ROW = re.compile(rb'<tr id="r-seat-050" class="([^"]*)"')


def measure_board(classroom: Classroom, folder: Path) -> dict[str, Any]:
    """Return the share of a processor that a board with viewers takes after its start, the seconds
    from a push to the change on the page, and the size of the page in KiB."""
    clone = classroom.clone(WORKER, folder)
    shown: list[float] = []
    with board(classroom) as served, viewers(served.address) as tab:
        size = len(_read(served.address)) / 1024
        opened, used = time.monotonic(), served.used
        for number in range(PUSHES):
            began = time.monotonic()
            (clone / f"note-{number}.txt").write_text("x")
            # The page shows each push, because it asks for help, or takes the request back.
            classroom.push(clone, "origin", "HEAD:main", "HEAD:help")
            pushed = time.monotonic()
            tab.await_mark(number % 2 == 0)
            shown.append(time.monotonic() - pushed)
            time.sleep(max(EVERY_S - (time.monotonic() - began), 0))
        seconds = time.monotonic() - opened
    return {
        "viewers": VIEWERS,
        "cores": round((served.processor - used) / seconds, 3),
        "push_to_page": spread(shown, 2),
        "page_kib": round(size, 1),
    }


@dataclass
class Served:
    """A board: the address of its page, and its process. Once the process has ended, `processor` is
    the processor seconds that it and the processes that it started have used."""

    address: str
    process: int
    processor: float = 0.0

    @property
    def used(self) -> float:
        """The processor seconds until now, without those of child processes that still run."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def board(classroom: Classroom) -> Iterator[Served]:
    """Serve the board."""
    process = subprocess.Popen(
        [classroom.lab.program, "board"], env=classroom.lab.base_environment,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline() if process.stdout else ""
        found = re.search(r"https?://\S+", line)
        assert found, line
        served = Served(found[0], process.pid)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        before = of_children()
        process.wait(30)
    served.processor = of_children() - before


class Viewer(threading.Thread):
    """A browser's tab: reads the stream of a board until the stream ends, and looks at one row."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._seen = threading.Condition()
        self._asks: bool | None = None

    @override
    def run(self) -> None:
        """Note whether the worker asks for help."""
        with urllib.request.urlopen(f"{self._address}events") as stream:
            for line in stream:
                if found := _ROW.search(line):
                    with self._seen:
                        self._asks = b"asks" in found[1].split()
                        self._seen.notify_all()

    def await_mark(self, asks: bool) -> None:
        """Return once the row says whether the worker asks, as wanted; fail after a minute."""
        with self._seen:
            assert self._seen.wait_for(lambda: self._asks is asks, 60)


@contextmanager
def viewers(address: str) -> Iterator[Viewer]:
    """Open the streams of many tabs, and yield one of them once it has shown the class."""
    tabs = [Viewer(address) for _ in range(VIEWERS)]
    for tab in tabs:
        tab.start()
    tabs[0].await_mark(False)
    yield tabs[0]


def _read(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        found: bytes = answer.read()
    return found
