"""The history of a class, as it is on record."""

from __future__ import annotations

from sopslab.config.places import Places
from sopslab.lab.tools.files import read
from sopslab.model.progress import Change, in_lines


def progress_file(places: Places) -> str:
    """Return where it is on record."""
    return f"{places.class_dir}/progress.jsonl"


def recorded_progress(places: Places) -> list[Change]:
    """Return what has changed so far; nothing where there is no record."""
    return in_lines(read(progress_file(places)) or b"")
