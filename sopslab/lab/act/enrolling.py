"""Record who has a seat in the class."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files


def record(lab: Lab, roster: str) -> None:
    """Write who has a seat.

    + roster: the record, as `sopslab.config.enrolled.record_of` makes it
    """
    files.private_folder(f"{lab.class_dir}/seats")
    files.write(Path(lab.class_dir, "roster.json"), f"{roster}\n")
