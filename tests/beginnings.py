"""Folders that tests begin with, made once and then copied: real programs take a second and more to
make keys, certificates and repositories."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path


def begin(place: Path, beginning: Path, make: Callable[[], object]) -> bool:
    """Fill the folder `place` as `make` does. The first time, `make` is called, and the result is
    kept in `beginning`; from then on, that is copied. Return whether `place` is a copy.

    + make: makes the content of `place`
    """
    if not beginning.exists():
        make()
        shutil.copytree(place, beginning, symlinks=True)
        return False
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(beginning, place, symlinks=True)
    return True
