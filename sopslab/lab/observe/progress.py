"""The recorded progress of a class."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Places
from sopslab.lab.tools.files import read
from sopslab.model.progress import Change, in_lines


def progress_file(places: Places) -> str:
    """Return the file of the record."""
    return f"{places.class_dir}/progress.jsonl"


def recorded_progress(places: Places) -> list[Change]:
    """Return the recorded changes; none without a record. Changes from before a seat was archived
    are left out, so that another learner with the same id begins anew."""
    ended = _archived(places)
    changes = in_lines(read(progress_file(places)) or b"")
    return [one for one in changes if one.at > ended.get(one.seat, 0)]


def _archived(places: Places) -> dict[str, int]:
    """Return when each archived seat was last archived, by its id, in seconds since 1970."""
    found: dict[str, int] = {}
    for folder in Path(places.pruned_dir).glob("*-*"):
        seat, _, at = folder.name.rpartition("-")
        if at.isdecimal():
            found[seat] = max(found.get(seat, 0), int(at))
    return found
