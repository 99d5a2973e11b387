"""What the lab's own Git server hands out beside repositories, where its data is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.lab.tools.relay import where_repositories_are

HANDED_OUT = 0o640
"""The mode of what it reads by its group."""


@where_repositories_are
def served(lab: Lab) -> dict[str, str]:
    """Return the SHA-256 of each file that the server hands out, and it alone can read beside the
    lab, by its path below `access`. Raises LabError where the server is in the cluster, and
    silent."""
    folder = Path(lab.handouts_dir)
    try:
        group = folder.stat().st_gid
    except OSError:
        return {}
    return {
        str(path.relative_to(folder)): files.sha256(path)
        for path in sorted(folder.rglob("*"))
        if _is_the_servers(path, group)
    }


@where_repositories_are
def served_names(lab: Lab) -> list[str]:
    """Return the names of what the server hands out: ids of seats, and `ca.crt`. Raises LabError as
    `served` does."""
    return [path.name for path in files.entries(lab.handouts_dir)]


def _is_the_servers(path: Path, group: int) -> bool:
    about = path.lstat()
    if about.st_mode != stat.S_IFREG | HANDED_OUT:
        return False
    # Where no root works here, the server is the same user.
    return about.st_gid == group or (os.geteuid() != 0 and about.st_uid == os.geteuid())
