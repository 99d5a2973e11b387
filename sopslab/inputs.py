"""The settings of the local lab, as its inventory spells them out, for what needs no pyinfra."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping

from sopslab.labfile import read_lab_file
from sopslab.layout import PROJECT
from sopslab.settings import Settings, load_settings

LAB_FILE = "SOPSLAB_FILE"


def local_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Return what `inventories/local.py` and `group_data/all.py` say together.

    Raises InputError with every problem.
    """
    defaults = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
    data = {key: value for key, value in defaults.items() if key in Settings.model_fields}
    return load_settings({**data, **read_lab_file(os.environ.get(LAB_FILE)), **(overrides or {})})
