"""The settings of the local lab, as its inventory spells them out, for what needs no pyinfra.

What reads and validates them takes long to import: whoever only asks for a name does without.
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
# What a machine has in its root that is one seat of a room.
OWN_LAB_FILE = "lab.yaml"
# No job that anybody waits for takes longer, and what is left of a killed one is in nobody's way.
JOB_HOURS = 6


def local_data() -> dict[str, Any]:
    """Return what one lab on this machine is told: the settings in the file of SOPSLAB_FILE, or
    without that in `lab.yaml` in the root, where there is such a file. What of it compares seats
    with a roster, is for inventories that have one.

    Raises InputError.
    """
    return {name: value for name, value in _lab_data().items() if name not in SEATS_AS_THEY_ARE}


def _lab_data() -> dict[str, Any]:
    path = os.environ.get(LAB_FILE, _own_lab_file())
    if path is None:
        return {}
    # With it comes the YAML library.
    from sopslab.config.labfile import read_lab_file

    return read_lab_file(path)


def _own_lab_file() -> str | None:
    """Return the lab file of the root that the environment or the defaults name, if there is
    one."""
    path = Path(_defaults()["root"], OWN_LAB_FILE)
    return str(path) if path.exists() else None


def class_data() -> dict[str, Any]:
    """Return what the lab file of `local_data` says, with a seat for each learner on the roster of
    SOPSLAB_ROSTER.

    Raises InputError with every problem of the roster.
    """
    from sopslab.config.roster import without_machines

    return {**_lab_data(), "seats": without_machines(roster_rows())}


def seats_data(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return for each learner on the roster of SOPSLAB_ROSTER what their seat of a room is told:
    what `local_data` says, who they are, and where their machine is.

    + machines: by name, where the roster's hosts are names of these, and learners without a host
        have the one that is called like them; without any, hosts are what `ssh` connects to

    Raises InputError with every problem.
    """
    from sopslab.config.seats import seats_of

    return seats_of(local_data(), roster_rows(), machines)


def roster_rows() -> list[dict[str, str | None]]:
    """Return what `read_roster` does of the roster of SOPSLAB_ROSTER, or of the example."""
    from sopslab.config.roster import read_roster

    return read_roster(os.environ.get(ROSTER) or str(EXAMPLE_ROSTER))


def job_data() -> dict[str, Any]:
    """Return what the lab of a CI job is told: its name, a port that is free, and how long it is
    meant for; a seat for each learner, where SOPSLAB_ROSTER names them. The file of SOPSLAB_FILE
    overrides it.

    Once the lab is made, the port is the one that it has. Raises InputError.
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


# What the verbs of this machine itself are told: of a room, the machines of learners have the labs.
_DATA = {LOCAL: local_data, CLASSROOM: class_data, CI: job_data, SEATS: local_data}


def chosen_inventory() -> str:
    """Return the inventory that SOPSLAB_INVENTORY names, relative to the project; without it, that
    of a lab on this machine. Raises InputError for one that is not the project's."""
    path = os.environ.get(INVENTORY) or LOCAL
    known = known_inventory(path)
    if known is None:
        raise InputError([f"{INVENTORY}: {path} is not an inventory of the project"])
    return known


def local_settings(
    overrides: Mapping[str, object] | None = None, inventory: str | None = None
) -> Settings:
    """Return what an inventory and `group_data/all.py` say together.

    + inventory: relative to the project; without one, the inventory of SOPSLAB_INVENTORY

    Raises InputError with every problem.
    """
    from sopslab.config.settings import load_settings

    data = _DATA[inventory or chosen_inventory()]()
    return load_settings({**_defaults(), **data, **(overrides or {})})


def seat_settings(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, Settings]:
    """Return for each learner of a room what `seats_data` and `group_data/all.py` say together.
    Raises InputError with every problem."""
    from sopslab.config.settings import load_settings

    defaults = _defaults()
    return {
        seat: load_settings({**defaults, **data}) for seat, data in seats_data(machines).items()
    }


class Meant(NamedTuple):
    """The lab that is meant, and who works on it where it has no class."""

    root: str
    lab: str
    learner: str


def meant_lab() -> Meant:
    """Return which lab is meant, of whose settings nothing else is read or validated: that takes
    longer than a shell may wait for a word.

    Raises InputError where it cannot be told.
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
    # What it imports is no setting.
    imported = (ModuleType, type)
    return {
        key: value
        for key, value in defaults.items()
        if not key.startswith("_") and not isinstance(value, imported)
    }


def known_inventory(path: str) -> str | None:
    """Return which inventory of the project `path` is, relative to it; None for any other."""
    for inventory in _DATA:
        if Path(path).resolve() == PROJECT / inventory or path == inventory:
            return inventory
    return None
