"""The settings of the local lab, as its inventory spells them out, for what needs no pyinfra."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopslab.config.defaults import DEFAULTS
from sopslab.config.labfile import read_lab_file
from sopslab.config.roster import read_roster
from sopslab.config.settings import Settings, load_settings
from sopslab.layout import PROJECT

LAB_FILE = "SOPSLAB_FILE"
ROSTER = "SOPSLAB_ROSTER"

LOCAL = "inventories/local.py"
CLASSROOM = "inventories/classroom.py"
EXAMPLE_ROSTER = PROJECT / "inventories" / "rosters" / "example.yaml"


def local_data() -> dict[str, Any]:
    """Return what one lab on this machine is told: the settings in the file of SOPSLAB_FILE.

    Raises InputError.
    """
    return read_lab_file(os.environ.get(LAB_FILE))


def class_data() -> dict[str, Any]:
    """Return the same with a seat for each learner on the roster of SOPSLAB_ROSTER.

    Raises InputError with every problem of the roster.
    """
    return {**local_data(), "seats": read_roster(os.environ.get(ROSTER) or str(EXAMPLE_ROSTER))}


_DATA = {LOCAL: local_data, CLASSROOM: class_data}


def local_settings(
    overrides: Mapping[str, object] | None = None, inventory: str = LOCAL
) -> Settings:
    """Return what an inventory and `group_data/all.py` say together.

    Raises InputError with every problem.
    """
    defaults = runpy.run_path(str(DEFAULTS))
    data = {key: value for key, value in defaults.items() if key in Settings.model_fields}
    return load_settings({**data, **_DATA[inventory](), **(overrides or {})})


def known_inventory(path: str) -> str | None:
    """Return which inventory of the project `path` is, relative to it; None for any other."""
    for inventory in _DATA:
        if Path(path).resolve() == PROJECT / inventory or path == inventory:
            return inventory
    return None
