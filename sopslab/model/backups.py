"""A backup: one encrypted file with all of a lab that exists only once, and what it begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FORMAT = 1

# The first and the last file of the archive, and where its other files are.
HEAD, SUMS = "backup.json", "sums.json"
FILES, REPOSITORIES, BUNDLE = "files/", "repositories/", ".bundle"
FOLDER = "folder"

# Below the lab's folder: the settings of a backup that differ from those that it was restored with.
LAB_FILE = "lab.yaml"


@dataclass(frozen=True)
class BackupHead:
    """What a backup is of: `made` is when, `product` the version that made it, `repositories` their
    paths without `.git`, and `settings` those that belong to the lab wherever it is."""

    format: int
    product: str
    lab: str
    made: str
    seats: int
    repositories: list[str]
    settings: dict[str, Any]


@dataclass(frozen=True)
class BackupSums:
    """The SHA-256 of every other file of the archive, by its name there; `FOLDER` for a folder."""

    files: dict[str, str]
