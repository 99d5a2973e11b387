"""What tests begin with, made once and then copied: keys, certificates and repositories of real
programs take a second and more."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def begin(place: Path, beginning: Path, make: Callable[[], object]) -> bool:
    """Have a folder as `make` leaves it, which is called the first time: what it made is kept in
    `beginning`, and copied from then on. Return whether the folder is a copy."""
    if not beginning.exists():
        make()
        shutil.copytree(place, beginning, symlinks=True)
        return False
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(beginning, place, symlinks=True)
    return True
