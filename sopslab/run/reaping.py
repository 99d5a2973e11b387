"""Take down labs whose lease has ended, and end the access of learners whose time is over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.enrolled import read_enrolled
from sopslab.config.enrolment import enrolment_for
from sopslab.config.inputs import LAB_FILE, LOCAL
from sopslab.config.leases import read_lease
from sopslab.config.naming import check_label
from sopslab.errors import STOPPED, Exit, LabError
from sopslab.run.lock import held_by
from sopslab.run.runner import run

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


_SERVER = re.compile(r"^\s*server: https://([^:/\s]+)", re.MULTILINE)
# The setting `lease` also makes the purge leave the store.
_OF_A_LEASE: Mapping[str, object] = {
    "lease": 1, "cluster_provider": "kind", "kubeconfig": None, "context": None, "accept": [],
    "git_url": None, "recreate": False,
}  # fmt: skip


class Stopped(Exception):
    """Somebody has stopped a run, and means all of them; `code` is the exit code that says how."""

    def __init__(self, code: Exit) -> None:
        super().__init__()
        self.code = code


@dataclass
class Reaped:
    """What became of the labs of a root: which are gone (`gone`), and why each other one stays
    (`stays`) or could not be taken down (`failed`). Of the class of one lab: the learners whose
    access has ended (`suspended`), and those whose environments are archived (`archived`).
    `stopped` is the exit code if somebody has stopped that."""

    gone: list[str] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    suspended: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    stopped: Exit = Exit.OK


def reap(
    root: str,
    now: datetime,
    take_down: Callable[[Path], Sequence[str]],
    docker_host: str | None = None,
) -> Reaped:
    """Take down each lab of a root whose lease has ended, unless it is being worked on. If somebody
    stops that, the others are not looked at.

    + take_down: takes down the lab of a folder; returns the problems, or raises Stopped
    + docker_host: the Docker that is used here, as `DOCKER_HOST` names it
    """
    reaped = Reaped()
    for folder in sorted(Path(root, "labs").glob("*/")):
        reason = reason_to_stay(folder, now)
        if reason:
            reaped.stays[folder.name] = reason
            continue
        try:
            problems = elsewhere(folder, docker_host) or take_down(folder)
        except Stopped as stop:
            reaped.stopped = stop.code
            break
        if problems:
            reaped.failed[folder.name] = " ".join(problems)
        else:
            reaped.gone.append(folder.name)
    return reaped


def reason_to_stay(folder: Path, now: datetime) -> str:
    """Return why the lab of a folder is not taken down, "" if it has to be."""
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
    """End the access of a lab's learners whose time is over, and archive environments whose days of
    grace are over. If the lab is down or being worked on, both are left to `sopslab up`.

    + expire: ends access and archives; returns the problems, or raises Stopped
    """
    folder = Path(settings.lab_dir)
    if reaped.stopped or settings.lab in reaped.gone or not Path(settings.lab_kubeconfig).exists():
        return
    try:
        enrolment = enrolment_for(settings, read_enrolled(settings))
    except LabError as error:
        reaped.failed[settings.lab] = str(error)
        return
    if not enrolment.shut:
        return
    if other := _made_elsewhere(settings):
        reaped.failed[settings.lab] = other
        return
    if holder := held_by(folder / "lock"):
        reaped.stays[settings.lab] = f"it is being worked on by process {holder}"
        return
    try:
        problems = expire()
    except Stopped as stop:
        reaped.stopped = stop.code
        return
    if problems:
        reaped.failed[settings.lab] = " ".join(problems)
    else:
        reaped.suspended = [seat.id for seat in enrolment.suspended]
        reaped.archived = [seat.id for seat in enrolment.ended]


def _made_elsewhere(settings: Settings) -> str:
    """Return a sentence if a lab was made with another address than that of these settings, else
    "". A run with other settings would rewrite the lab's platform repository, and no seat could
    reach the Git server any more."""
    if settings.cluster_provider == "existing":
        return ""
    found = _SERVER.search(Path(settings.lab_kubeconfig).read_text(encoding="utf-8"))
    if found is None or found[1] in (settings.api_address, settings.engine_host):
        return ""
    return (
        f"it was made at {found[1]}, and these settings say {settings.api_address}: run this with"
        f" the lab file of that lab, as {LAB_FILE}"
    )


def expire(settings: Settings) -> list[str]:
    """End access and archive environments as `sopslab up` does; return the problems. Raises
    Stopped."""
    data = {"lab": json.dumps(settings.lab)}
    return _problems("deploys/expire.py", data, Path(settings.lab_dir))


def take_down(folder: Path) -> list[str]:
    """Take down the lab of a folder, as `sopslab down --purge` does; return the problems. Raises
    Stopped.

    The settings of this process may be another lab's, so the settings that have the same value in
    every lab with a lease are overridden.
    """
    data = {**_OF_A_LEASE, "lab": folder.name, "purge": True}
    # In JSON, because pyinfra would turn a name such as `007` into a number.
    told = {name: json.dumps(value) for name, value in data.items()}
    return _problems("deploys/teardown.py", told, folder)


def _problems(deploy: str, data: Mapping[str, object], folder: Path) -> list[str]:
    try:
        result = run(deploy, data, folder / "log", lambda _event: None, LOCAL)
    except LabError as error:
        return [str(error)]
    if result.code in STOPPED:
        raise Stopped(result.code)
    return result.problems


def elsewhere(folder: Path, docker_host: str | None) -> list[str]:
    """Return why the lab of a folder cannot be taken down from here; empty if it can.

    + docker_host: the Docker that is used here, as `DOCKER_HOST` names it
    """
    lease = read_lease(folder / "lease.json")
    if lease is None or lease.docker_host == docker_host:
        return []
    if lease.docker_host is None:
        return ["its containers are in the Docker of this machine: unset DOCKER_HOST"]
    return [f"its containers are in another Docker: set DOCKER_HOST={lease.docker_host}"]
