"""A backup: one encrypted file with everything of a lab that exists only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FORMAT = 1

# The first and the last file of the archive, and the paths of its other files.
HEAD, SUMS = "backup.json", "sums.json"
FILES, REPOSITORIES, BUNDLE = "files/", "repositories/", ".bundle"
FOLDER = "folder"

# Below the lab's folder: those settings of a restored backup that differ from the settings with
# which it was restored.
LAB_FILE = "lab.yaml"


@dataclass(frozen=True)
class BackupHead:
    """The head of a backup, which says what it contains.

    `product` is the version that made the backup, `made` the time of that. `repositories` are paths
    without `.git`. `settings` are those that belong to the lab on whatever machine it is.
    """

    format: int
    product: str
    lab: str
    made: str
    seats: int
    repositories: list[str]
    settings: dict[str, Any]


@dataclass(frozen=True)
class BackupSums:
    """The SHA-256 of every other file in the archive, by its name there. A folder has the word
    `FOLDER` instead."""

    files: dict[str, str]
