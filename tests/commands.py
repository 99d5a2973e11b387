"""What tests of the verbs of `sopslab` share."""

from __future__ import annotations

import json
from pathlib import Path

from sopslab.config.settings import Settings


def enrol(settings: Settings, *ids: str) -> None:
    """Put learners of these ids on the record of a class."""
    folder = Path(settings.class_dir)
    folder.mkdir(parents=True)
    seats = [{"id": seat, "name": seat, "email": f"{seat}@lab.example"} for seat in ids]
    (folder / "roster.json").write_text(json.dumps(seats))
