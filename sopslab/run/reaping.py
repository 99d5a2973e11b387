"""Take down labs whose lease has ended, and end the access of learners whose time is over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.enrolled import read_enrolled
from sopslab.config.enrolment import enrolment_for
from sopslab.config.inputs import LOCAL
from sopslab.config.leases import read_lease
from sopslab.config.naming import check_label
from sopslab.errors import LabError
from sopslab.run.lock import held_by
from sopslab.run.runner import run

# Spares are for `up` to make. To a run without a roster everybody would be absent from one, and go
# if the lab file says `prune`.
ONLY_TIME: Mapping[str, object] = {"spares": 0, "prune": False}

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass
class Reaped:
    """What became of the labs of a root: those that are gone, and for each other one, why it stays
    or why it could not be taken down. Of the class of one lab: whose access has ended, and whose
    environments are archived."""

    gone: list[str] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    suspended: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)


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


def end_access(reaped: Reaped, settings: Settings, expire: Callable[[], Sequence[str]]) -> None:
    """End the access of learners of a lab whose time is over, and archive what has had its days of
    grace, unless the lab is down or being worked on: then `sopslab up` does it.

    + expire: does so; returns what kept it from it
    """
    folder = Path(settings.lab_dir)
    if settings.lab in reaped.gone or not Path(settings.lab_kubeconfig).exists():
        return
    try:
        enrolment = enrolment_for(settings, read_enrolled(settings))
    except LabError as error:
        reaped.failed[settings.lab] = str(error)
        return
    if not enrolment.shut:
        return
    if holder := held_by(folder / "lock"):
        reaped.stays[settings.lab] = f"it is being worked on by process {holder}"
    elif problems := expire():
        reaped.failed[settings.lab] = " ".join(problems)
    else:
        reaped.suspended = [seat.id for seat in enrolment.suspended]
        reaped.archived = [seat.id for seat in enrolment.ended]


def expire(settings: Settings) -> list[str]:
    """Do that as `sopslab up` does; return the problems."""
    data = {"lab": json.dumps(settings.lab), **ONLY_TIME}
    log = Path(settings.lab_dir) / "log"
    return run("deploys/expire.py", data, log, lambda _event: None, LOCAL).problems


def take_down(folder: Path) -> list[str]:
    """Take down the lab of a folder, as `sopslab down --purge` does; return the problems."""
    # pyinfra would make a number of a name that looks like one. With a lease, the store stays.
    data = {"lab": json.dumps(folder.name), "purge": True, "lease": 1}
    return run("deploys/teardown.py", data, folder / "log", lambda _event: None, LOCAL).problems
