"""Read a lab file: settings in YAML, strictly, within bounds."""

from __future__ import annotations

from typing import Any

from sopslab.config.inputfile import load_yaml, read_text
from sopslab.errors import InputError


def read_lab_file(path: str) -> dict[str, Any]:
    """Return the settings in the YAML file `path`.

    Raises InputError, naming file and line, for a file that cannot be read, is not UTF-8, exceeds
    1 MiB, is not YAML, has duplicate keys or aliases, or holds anything but a mapping.
    """
    data = load_yaml(path, read_text(path, "lab file"))
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise InputError([f"{path}: settings are needed, such as `lab: demo`"])
    return data
