"""A room: a machine for each learner, and the settings of the lab on it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from sopslab.config.roster_values import MACHINE
from sopslab.errors import InputError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

Row = Mapping[str, str | None]

# The root on a seat's machine: the default of `root` there, which may differ from the one here.
SEAT_ROOT = "~/.local/share/sops-lab"
# The settings that are sent to a seat; all others stay on this machine.
_SENT = {"lab", "lease", "api_port", "git_port", "age_key_type", "learner"}
# The settings of another Git server; a seat with a Git server of its own cannot use them.
_SENT_OF_GIT = {"git_url", "git_cluster_url", "git_username", "git_password"}


def seats_of(
    data: Mapping[str, Any], rows: Sequence[Row], machines: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the settings of each learner's seat, by id.

    + data: the settings of all seats
    + rows: the roster
    + machines: the machines by name, if they do not come from the roster

    Raises InputError with every learner who has no machine, and every setting that a room refuses.
    """
    problems = _refused(data)
    if data.get("expires") or any(row.get("expires") for row in rows):
        problems.append("expires: it ends the access to a class, and a room has none: leave it out")
    found = {}
    for row in rows:
        machine = _machine(row, machines) if machines else _given(row)
        if machine:
            found[str(row["id"])] = machine
    problems += _without(rows, found, machines)
    if problems:
        raise InputError(problems)
    learners = [{key: row[key] for key in ("id", "name", "email")} for row in rows]
    return {
        seat: {**data, "learner": learner, "machine": machine}
        for learner, (seat, machine) in zip(learners, found.items(), strict=True)
    }


def sent(settings: Settings) -> dict[str, Any]:
    """Return what is in the lab file of a seat."""
    wanted = _SENT | _SENT_OF_GIT if settings.git_url else _SENT
    return settings.model_dump(mode="json", include=wanted, exclude_none=True)


def chosen(rows: Iterable[Row], wanted: Sequence[str]) -> list[str]:
    """Return the ids of the wanted learners, in the order of the roster; all if `wanted` is empty.

    + wanted: ids, groups, and globs such as `a*` of either

    Raises InputError with everything in `wanted` that matches nobody on the roster.
    """
    groups = {str(row["id"]): row["group"] or "" for row in rows}
    known = ", ".join([*groups, *dict.fromkeys(group for group in groups.values() if group)])
    problems = [
        f"{each}: no seat of the roster is called so, nor a group: known are {known}"
        for each in wanted
        if not any(_answers(each, seat, group) for seat, group in groups.items())
    ]
    if problems:
        raise InputError(problems)
    return [
        seat
        for seat, group in groups.items()
        if not wanted or any(_answers(each, seat, group) for each in wanted)
    ]


def _answers(wanted: str, seat: str, group: str) -> bool:
    return fnmatchcase(seat, wanted) or (group != "" and fnmatchcase(group, wanted))


def _refused(data: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each setting that cannot be the same on all machines of a room."""
    problems = []
    if data.get("cluster_provider") == "existing":
        problems.append("cluster_provider: each seat of a room makes its own cluster: leave it out")
    if data.get("git_bind", "127.0.0.1") != "127.0.0.1":
        problems.append("git_bind: it is the address of one machine, and a room has many")
    problems += [
        f"{name}: a room has its learners from the roster: leave it out"
        for name in ("learner", "machine", "seats")
        if data.get(name)
    ]
    return problems


def _given(row: Row) -> dict[str, Any]:
    """Return a learner's machine as the roster gives it; {} if it gives none."""
    machine: dict[str, Any] = {key: row[key] for key in MACHINE if row.get(key)}
    if "port" in machine:
        machine["port"] = int(machine["port"])
    return machine


def _machine(row: Row, machines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the learner's one of `machines`, with what the roster adds; {} if there is none."""
    given = _given(row)
    machine = machines.get(given.pop("host", str(row["id"])))
    return {**machine, **given} if machine else {}


def _without(
    rows: Iterable[Row], found: Collection[str], machines: Mapping[str, object]
) -> list[str]:
    lacking = [str(row["id"]) for row in rows if row["id"] not in found]
    if not lacking:
        return []
    if machines:
        return [
            f"{', '.join(lacking)}: no machine is called so: name one of"
            f" {', '.join(machines)} as `host` in the roster"
        ]
    return [
        f"{', '.join(lacking)}: no machine is known: a room needs a `host` for every learner in the"
        " roster"
    ]
