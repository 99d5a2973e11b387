"""Files of a Go module where a recipe may change them."""

from __future__ import annotations

import os
from pathlib import Path


def copy_tree(source: Path, target: Path) -> None:
    """Copy files as they would be written here: those of a Go module are read-only."""
    for folder, _, names in os.walk(source):
        copied = target / Path(folder).relative_to(source)
        copied.mkdir(parents=True, exist_ok=True)
        for name in names:
            (copied / name).write_bytes(Path(folder, name).read_bytes())
