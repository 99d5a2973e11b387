"""The history of a class, as it is on record."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Places
from sopslab.lab.tools.files import read
from sopslab.model.progress import Change, in_lines


def progress_file(places: Places) -> str:
    """Return where it is on record."""
    return f"{places.class_dir}/progress.jsonl"


def recorded_progress(places: Places) -> list[Change]:
    """Return what has changed so far; nothing where there is no record. Whoever has the id of a
    seat that was archived begins anew."""
    ended = _archived(places)
    changes = in_lines(read(progress_file(places)) or b"")
    return [one for one in changes if one.at > ended.get(one.seat, 0)]


def _archived(places: Places) -> dict[str, int]:
    """Return when a seat was archived last, by its id, in seconds since 1970."""
    found: dict[str, int] = {}
    for folder in Path(places.pruned_dir).glob("*-*"):
        seat, _, at = folder.name.rpartition("-")
        if at.isdecimal():
            found[seat] = max(found.get(seat, 0), int(at))
    return found
