"""The settings of the local lab, as its inventory gives them, for code that needs no pyinfra.

The modules that read and validate settings take long to import, so functions here import them: a
caller that only asks for a name does without.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from sopslab.config.defaults import DEFAULTS
from sopslab.config.enrolment import SEATS_AS_THEY_ARE
from sopslab.config.naming import check_label
from sopslab.config.places import lease_file
from sopslab.errors import InputError
from sopslab.layout import PROJECT

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

INVENTORY = "SOPSLAB_INVENTORY"
LAB = "SOPSLAB_LAB"
LAB_FILE = "SOPSLAB_FILE"
ROOT = "SOPSLAB_ROOT"
ROSTER = "SOPSLAB_ROSTER"
MACHINES = "SOPSLAB_MACHINES"
# The variables that say which lab is meant.
CHOOSING = (INVENTORY, LAB, LAB_FILE, ROOT, ROSTER, MACHINES)

LOCAL = "inventories/local.py"
CLASSROOM = "inventories/classroom.py"
CI = "inventories/ci.py"
SEATS = "inventories/seats.py"
EXAMPLE_ROSTER = PROJECT / "inventories" / "rosters" / "example.yaml"
# The lab file in the root of a machine that is a seat of a room.
OWN_LAB_FILE = "lab.yaml"
# Longer than any job that somebody waits for, and short enough that the lab of a killed job is in
# nobody's way.
JOB_HOURS = 6


def local_data() -> dict[str, Any]:
    """Return the settings of one lab on this machine: from the file that SOPSLAB_FILE names, else
    from `lab.yaml` in the root, if there is one.

    Settings that compare seats with a roster are left out: they are for inventories that have a
    roster. Raises InputError.
    """
    return {name: value for name, value in _lab_data().items() if name not in SEATS_AS_THEY_ARE}


def _lab_data() -> dict[str, Any]:
    path = os.environ.get(LAB_FILE)
    if path is None:
        path = _own_lab_file()
    if path is None:
        return {}
    # Imported here: it loads the YAML library.
    from sopslab.config.labfile import read_lab_file

    return read_lab_file(path)


def _own_lab_file() -> str | None:
    """Return the lab file in the root that the environment or the defaults name, if it exists.
    Raises InputError if that cannot be seen."""
    path = Path(_defaults()["root"], OWN_LAB_FILE)
    try:
        return str(path) if path.exists() else None
    except OSError as error:
        raise InputError(
            [
                f"the root of the lab cannot be looked into ({error.strerror}): choose another with"
                f" {ROOT}"
            ]
        ) from None


def class_data() -> dict[str, Any]:
    """Return the settings in the lab file that `local_data` reads, and a seat for each learner on
    the roster that SOPSLAB_ROSTER names.

    Raises InputError with every problem of the roster.
    """
    from sopslab.config.roster import without_machines

    return {**_lab_data(), "seats": without_machines(roster_rows())}


def seats_data(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the settings of the seat in a room of each learner on the roster that SOPSLAB_ROSTER
    names: those of `local_data`, the learner, and the learner's machine.

    + machines: the machines by name; a host in the roster is then such a name, and a learner
        without a host has the machine that is named like them. If it is empty, a host in the roster
        is what `ssh` connects to

    Raises InputError with every problem.
    """
    from sopslab.config.seats import seats_of

    return seats_of(local_data(), roster_rows(), machines)


def roster_rows() -> list[dict[str, str | None]]:
    """Return what `read_roster` reads from the roster that SOPSLAB_ROSTER names, or the example."""
    from sopslab.config.roster import read_roster

    return read_roster(os.environ.get(ROSTER) or str(EXAMPLE_ROSTER))


def job_data() -> dict[str, Any]:
    """Return the settings of a CI job's lab: its name, a free port and a lease; also a seat for
    each learner, if SOPSLAB_ROSTER names a roster. The lab file overrides them.

    A lab that is made already keeps its port. Raises InputError.
    """
    from sopslab.config.job import free_port
    from sopslab.config.leases import read_lease

    data = class_data() if os.environ.get(ROSTER) else local_data()
    lab = _job_lab(data)
    lease = read_lease(lease_file(data.get("root") or _defaults()["root"], lab))
    port = lease.git_port if lease else free_port()
    return {"lab": lab, "git_port": port, "lease": JOB_HOURS, **data}


def _job_lab(data: Mapping[str, Any]) -> str:
    from sopslab.config.job import job_name

    return data.get("lab") or os.environ.get(LAB) or job_name(os.environ)


# The functions that return the settings for verbs on this machine itself. For SEATS these are not
# the settings of seats: the labs of a room are on the learners' machines.
_DATA = {LOCAL: local_data, CLASSROOM: class_data, CI: job_data, SEATS: local_data}


def chosen_inventory() -> str:
    """Return the inventory that SOPSLAB_INVENTORY names, relative to the project, by default that
    of a lab on this machine. Raises InputError for an inventory that is not the project's."""
    path = os.environ.get(INVENTORY) or LOCAL
    known = known_inventory(path)
    if known is None:
        raise InputError([f"{INVENTORY}: {path} is not an inventory of the project"])
    return known


def local_settings(
    overrides: Mapping[str, object] | None = None, inventory: str | None = None
) -> Settings:
    """Return the settings of `group_data/all.py`, overridden by those of an inventory and by
    `overrides`.

    + inventory: relative to the project; by default the one that SOPSLAB_INVENTORY names

    Raises InputError with every problem.
    """
    from sopslab.config.settings import load_settings

    data = _DATA[inventory or chosen_inventory()]()
    return load_settings({**_defaults(), **data, **(overrides or {})})


def seat_settings(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, Settings]:
    """Return the settings of each seat in a room: those of `group_data/all.py`, overridden by
    `seats_data`. Raises InputError with every problem."""
    from sopslab.config.settings import load_settings

    defaults = _defaults()
    return {
        seat: load_settings({**defaults, **data}) for seat, data in seats_data(machines).items()
    }


class Meant(NamedTuple):
    """Which lab a command is about, and the id of the learner who works on it without a class."""

    root: str
    lab: str
    learner: str


def meant_lab() -> Meant:
    """Return which lab a command is about.

    None of its other settings is validated: that takes longer than a shell may wait for a
    completion. Raises InputError if no valid name is given.
    """
    data = _lab_data()
    if chosen_inventory() == CI:
        data["lab"] = _job_lab(data)
    told = {**_defaults(), **data}
    learner = told["learner"]
    found = (told["root"], told["lab"], learner.get("id") if isinstance(learner, dict) else None)
    root, lab, name = (one if isinstance(one, str) else "" for one in found)
    try:
        return Meant(root, check_label(lab), check_label(name))
    except ValueError as error:
        raise InputError([f"lab, learner: {error}"]) from None


def _defaults() -> dict[str, Any]:
    defaults = runpy.run_path(str(DEFAULTS))
    # The modules and classes that it imports are no settings.
    imported = (ModuleType, type)
    return {
        key: value
        for key, value in defaults.items()
        if not key.startswith("_") and not isinstance(value, imported)
    }


def known_inventory(path: str) -> str | None:
    """Return the inventory that `path` is, relative to the project; None if it is none of ours."""
    for inventory in _DATA:
        if Path(path).resolve() == PROJECT / inventory or path == inventory:
            return inventory
    return None
