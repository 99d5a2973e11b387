"""The files that the lab's own Git server hands out besides repositories. These functions run where
the server's data is: on this machine, or in its pod."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.lab.tools.relay import where_repositories_are

HANDED_OUT = 0o640
"""The mode of files that the server reads by its group."""


@where_repositories_are
def served(lab: Lab) -> dict[str, str]:
    """Return the SHA-256 of each file that the server hands out, by its path below `access`. A file
    is left out if others than the lab and the server can read it, or the server cannot. Raises
    LabError if the server is in the cluster and does not answer."""
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
    """Return the names in the folder that the server hands out: ids of seats, and `ca.crt`. Raises
    LabError as `served` does."""
    return [path.name for path in files.entries(lab.handouts_dir)]


def _is_the_servers(path: Path, group: int) -> bool:
    about = path.lstat()
    if about.st_mode != stat.S_IFREG | HANDED_OUT:
        return False
    # Without root, the server runs as the same user.
    return about.st_gid == group or (os.geteuid() != 0 and about.st_uid == os.geteuid())
