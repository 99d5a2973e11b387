"""Processes that tests started, or had started."""

from __future__ import annotations

from pathlib import Path


def runs(pid: int | str) -> bool:
    """Return whether a process is there, and not one that has ended and waits to be seen."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
