"""Who has a seat in the class, as recorded by the last run."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files


def recorded_roster(lab: Lab) -> str:
    """Return the record of who is enrolled; empty for a lab without a class."""
    return (files.read(Path(lab.class_dir, "roster.json")) or b"").decode("utf-8", "replace")
