"""Run Flux's own commands on untrusted input, with bounds and without network.

The kernel enforces the bounds (policy/confine).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sopslab.errors import LabError
from sopslab.policy import confine

CPU_S = 30
"""Seconds of a processor that one command may take."""
MEMORY = 1024 * 1024 * 1024
"""How many bytes of its own memory a command may have, and how large its files may be."""
MAX_OUTPUT = 64 * 1024 * 1024
_PATIENCE_S = 600  # for a machine that is busy with other things


@dataclass(frozen=True)
class Ran:
    """How a command ended: what it printed, or which bound it exceeded (`refusal`)."""

    code: int
    output: str = ""
    errors: str = ""
    refusal: str = ""


def run(command: Sequence[str], folder: Path) -> Ran:
    """Run a command in *folder* and return how it ended.

    Raises LabError if it cannot be started.
    """
    wrapper = [sys.executable, "-I", "-S", confine.__file__, str(CPU_S), str(MEMORY)]
    # The PATH leads nowhere, so that the command finds no other program. Its garbage collector
    # keeps below the limit.
    environment = {"PATH": os.devnull, "HOME": os.devnull, "KUBECONFIG": os.devnull}
    environment |= {"GOGC": "400", "GOMEMLIMIT": str(MEMORY * 3 // 4), "GOMAXPROCS": "1"}
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as own:
        output, errors = Path(own, "output"), Path(own, "errors")
        environment["TMPDIR"] = own
        try:
            with output.open("wb") as stdout, errors.open("wb") as stderr:
                code = subprocess.run(
                    [*wrapper, *command],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=folder,
                    env=environment,
                    timeout=_PATIENCE_S,
                    check=False,
                ).returncode
        except subprocess.TimeoutExpired:
            return Ran(-1, refusal=f"does not end within {_PATIENCE_S} s")
        except OSError as error:
            raise LabError(f"{Path(command[0]).name} cannot be run: {error.strerror}") from None
        if output.stat().st_size > MAX_OUTPUT:
            return Ran(code, refusal=f"comes to more than {MAX_OUTPUT >> 20} MiB")
        said = errors.read_bytes()[-65536:].decode("utf-8", "replace")
        return Ran(code, output.read_bytes().decode("utf-8", "replace"), said, _refusal(code))


def _refusal(code: int) -> str:
    if code == -signal.SIGSYS:
        return "needs the network"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"needs more than {CPU_S} s of a processor or {MEMORY >> 20} MiB"
    return "" if code in (0, 1) else "brings down the program that builds it"
