"""Take down labs whose lease has ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sopslab.config.inputs import LOCAL
from sopslab.config.leases import read_lease
from sopslab.config.naming import check_label
from sopslab.errors import LabError
from sopslab.run.lock import held_by
from sopslab.run.runner import run


@dataclass
class Reaped:
    """What became of the labs of a root: those that are gone, and for each other one, why it stays
    or why it could not be taken down."""

    gone: list[str] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def reap(root: str, now: datetime, take_down: Callable[[Path], Sequence[str]]) -> Reaped:
    """Take down each lab of a root whose lease has ended, unless it is being worked on.

    + take_down: takes down the lab of a folder; returns what kept it from doing so
    """
    reaped = Reaped()
    for folder in sorted(Path(root, "labs").glob("*/")):
        reason = reason_to_stay(folder, now)
        if reason:
            reaped.stays[folder.name] = reason
        elif problems := take_down(folder):
            reaped.failed[folder.name] = " ".join(problems)
        else:
            reaped.gone.append(folder.name)
    return reaped


def reason_to_stay(folder: Path, now: datetime) -> str:
    """Return why the lab of a folder is not taken down, "" if it is to be."""
    try:
        check_label(folder.name)
        lease = read_lease(folder / "lease.json")
    except (LabError, ValueError) as error:
        return str(error)
    if lease is None:
        return "it has no lease"
    if not lease.ended(now):
        return f"its lease ends at {lease.until}"
    holder = held_by(folder / "lock")
    return f"it is being worked on by process {holder}" if holder else ""


def take_down(folder: Path) -> list[str]:
    """Take down the lab of a folder, as `sopslab down --purge` does; return the problems."""
    # pyinfra would make a number of a name that looks like one. With a lease, the store stays.
    data = {"lab": json.dumps(folder.name), "purge": True, "lease": 1}
    return run("deploys/teardown.py", data, folder / "log", lambda _event: None, LOCAL).problems
