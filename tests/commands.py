"""What tests of the verbs of `sopslab` share."""

from __future__ import annotations

import json
from pathlib import Path

from sopslab import __version__
from sopslab.checks.takeover import FORMAT
from sopslab.config.settings import Settings
from sopslab.model.formats import Format, render_format


def say_format(settings: Settings) -> None:
    """Write into a lab's folder that this version made the lab."""
    path = Path(settings.format_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_format(Format(FORMAT, __version__)))


def enrol(settings: Settings, *ids: str) -> None:
    """Record learners with these ids as the class of a lab that this version made."""
    say_format(settings)
    folder = Path(settings.class_dir)
    folder.mkdir(parents=True)
    seats = [{"id": seat, "name": seat, "email": f"{seat}@lab.example"} for seat in ids]
    (folder / "roster.json").write_text(json.dumps(seats))


def failures(settings: Settings) -> dict[str, str]:
    """Return what is on record about seats that failed in the present run, by their ids."""
    return {path.name: path.read_text() for path in Path(settings.class_dir, "failed").glob("*")}
