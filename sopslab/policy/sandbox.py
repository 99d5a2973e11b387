"""Run a program on untrusted input, with bounds and without network.

The program is started through ``confine``, which sets the bounds that the kernel enforces. This
module bounds the time on the clock and the output, and tells what the program's end means.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sopslab.policy import confine
from sopslab.policy.sources import SourceError

CPU_S, WALL_S = 2, 15.0
"""A program is ended after CPU_S seconds of processor time, or WALL_S seconds on the clock."""
MEMORY = 256 * 1024 * 1024
"""How many bytes of its own memory a program may have."""
MAX_OUTPUT = 2 * 1024 * 1024
"""How many bytes a program may print."""

# Seconds of processor time. A program that uses more is not an ordinary build, and its priority is
# lowered so that ordinary ones go first.
_ORDINARY_S = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and what it printed; `refusal` is a sentence without its subject."""

    code: int
    output: str = ""
    refusal: str = ""


def run(command: Sequence[str], folder: Path) -> Outcome:
    """Run a program in *folder*, its home, and return how it ended.

    Raises SourceError if it cannot be started.
    """
    wrapper = [sys.executable, "-I", "-S", confine.__file__, str(CPU_S), str(MEMORY)]
    # The PATH leads nowhere, so that the program finds no other one; its garbage collector keeps
    # below the limit.
    limit = MEMORY * 3 // 4
    environment = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": "/nonexistent"}
    # An ordinary build ends before it has to collect garbage, which would take half of its time.
    environment |= {"GOGC": "off", "GOMEMLIMIT": str(limit), "GOMAXPROCS": "1"}
    try:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceError(f"a build cannot be started: {error.strerror}") from None
    try:
        output, errors, ended = _read(process)
    finally:
        _kill(process)
    return _judge(process.returncode, output, errors, ended)


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, bool]:
    """Return what a program prints, and whether it ended in time and within the output's bound."""
    assert process.stdout is not None
    assert process.stderr is not None
    started = time.monotonic()
    texts: dict[object, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    ordinary = True
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            spent = time.monotonic() - started
            if spent > WALL_S or any(len(text) > MAX_OUTPUT for text in texts.values()):
                return bytes(texts[process.stdout]), bytes(texts[process.stderr]), False
            if ordinary and _used(process) > _ORDINARY_S:
                ordinary = False
                _give_way(process)
            for key, _ in selector.select(0.1):
                data = os.read(key.fd, 1 << 16)
                texts[key.fileobj] += data
                if not data:
                    selector.unregister(key.fileobj)
        try:
            process.wait(max(0.0, started + WALL_S - time.monotonic()))
        except subprocess.TimeoutExpired:
            return bytes(texts[process.stdout]), bytes(texts[process.stderr]), False
    return bytes(texts[process.stdout]), bytes(texts[process.stderr]), True


def _used(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that a program has used, in seconds; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _give_way(process: subprocess.Popen[bytes]) -> None:
    # It may have ended meanwhile.
    with suppress(OSError):
        os.setpriority(os.PRIO_PGRP, process.pid, 10)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program with all that it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _judge(code: int, output: bytes, errors: bytes, ended: bool) -> Outcome:
    if max(len(output), len(errors)) > MAX_OUTPUT:
        return Outcome(code, refusal=f"comes to more than {MAX_OUTPUT // 1024} KiB when built")
    if code == -signal.SIGSYS:
        return Outcome(code, refusal="needs the network to be built")
    if not ended:
        return Outcome(code, refusal=f"is not built within {WALL_S:.0f} s")
    if code == -signal.SIGXCPU:
        return Outcome(code, refusal=f"needs more than {CPU_S} s of a processor to be built")
    if b"out of memory" in errors or b"cannot allocate memory" in errors:
        return Outcome(code, refusal=f"needs more than {MEMORY >> 20} MiB to be built")
    if code == -signal.SIGKILL:
        return Outcome(code, refusal="needs more than the Git server has to be built")
    if code not in (0, 1):
        return Outcome(code, refusal="brings down the program that builds it")
    return Outcome(code, output.decode("utf-8", "replace"))
