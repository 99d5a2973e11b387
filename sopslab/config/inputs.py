"""The settings of the local lab, as its inventory spells them out, for what needs no pyinfra.

What reads and validates them takes long to import: whoever only asks for a name does without.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopslab.config.defaults import DEFAULTS
from sopslab.config.job import free_port, job_name
from sopslab.config.leases import read_lease
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
# The variables that say which lab is meant.
CHOOSING = (INVENTORY, LAB, LAB_FILE, ROOT, ROSTER)

LOCAL = "inventories/local.py"
CLASSROOM = "inventories/classroom.py"
CI = "inventories/ci.py"
EXAMPLE_ROSTER = PROJECT / "inventories" / "rosters" / "example.yaml"
# No job that anybody waits for takes longer, and what is left of a killed one is in nobody's way.
JOB_HOURS = 6


def local_data() -> dict[str, Any]:
    """Return what one lab on this machine is told: the settings in the file of SOPSLAB_FILE.

    Raises InputError.
    """
    from sopslab.config.labfile import read_lab_file

    return read_lab_file(os.environ.get(LAB_FILE))


def class_data() -> dict[str, Any]:
    """Return what `local_data` does, with a seat for each learner on the roster of SOPSLAB_ROSTER.

    Raises InputError with every problem of the roster.
    """
    from sopslab.config.roster import read_roster

    return {**local_data(), "seats": read_roster(os.environ.get(ROSTER) or str(EXAMPLE_ROSTER))}


def job_data() -> dict[str, Any]:
    """Return what the lab of a CI job is told: its name, a port that is free, and how long it is
    meant for; a seat for each learner, where SOPSLAB_ROSTER names them. The file of SOPSLAB_FILE
    overrides it.

    Once the lab is made, the port is the one that it has. Raises InputError.
    """
    data = class_data() if os.environ.get(ROSTER) else local_data()
    lab = data.get("lab") or os.environ.get(LAB) or job_name(os.environ)
    lease = read_lease(lease_file(data.get("root") or _defaults()["root"], lab))
    port = lease.git_port if lease else free_port()
    return {"lab": lab, "git_port": port, "lease": JOB_HOURS, **data}


_DATA = {LOCAL: local_data, CLASSROOM: class_data, CI: job_data}


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


def _defaults() -> dict[str, Any]:
    from sopslab.config.settings import Settings

    defaults = runpy.run_path(str(DEFAULTS))
    return {key: value for key, value in defaults.items() if key in Settings.model_fields}


def known_inventory(path: str) -> str | None:
    """Return which inventory of the project `path` is, relative to it; None for any other."""
    for inventory in _DATA:
        if Path(path).resolve() == PROJECT / inventory or path == inventory:
            return inventory
    return None
