"""Docker, as whoever runs the lab has it configured."""

from __future__ import annotations

import os

from sopslab.lab.tools.programs import run


def docker(*arguments: str, patience: float = 60) -> str:
    """Return what docker prints. Raises Failed."""
    done = run(["docker", *arguments], os.environ, patience=patience)
    return os.fsdecode(done).rstrip("\n")


def container_log(container: str, lines: int) -> bytes:
    """Return the last lines that a container has written, on both of its outputs. Raises Failed."""
    return run(["docker", "logs", "--tail", str(lines), container], os.environ, errors=True)
