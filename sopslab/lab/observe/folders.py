"""Folders on this machine: those that the lab delivers as a whole, and what a killed run has left
in the lab's folder."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.files.digest import tree_digest
from sopslab.files.privatefile import is_unfinished
from sopslab.lab.tools import files

# The deepest level below the lab's folder at which a file or folder is written beside its target
# and then renamed.
_DEPTH = 3


def folder_digest(path: str) -> str | None:
    """Return the digest of all files below a folder, which includes which of them are executable,
    as `sopslab.files.archive.digest` computes it. Return None if there is no such folder."""
    folder = Path(path)
    if not folder.is_dir():
        return None
    found = {
        str(file.relative_to(folder)): file
        for parent, _, names in os.walk(folder)
        for file in (Path(parent, name) for name in names)
        if stat.S_ISREG(file.lstat().st_mode)
    }
    sums = {
        name: hashlib.sha256(files.read(file) or b"").hexdigest() for name, file in found.items()
    }
    executable = [name for name, file in found.items() if file.stat().st_mode & stat.S_IXUSR]
    return tree_digest(sums, executable)


def any_folder(paths: list[str]) -> bool:
    """Return whether any of the paths is a folder, or a link to one."""
    return any(map(os.path.isdir, paths))


def lab_folder(lab: Lab) -> bool:
    """Return whether the lab's folder exists."""
    return Path(lab.lab_dir).is_dir()


def leftovers(lab: Lab) -> list[str]:
    """Return the unfinished files and folders that a killed run has left. The learner's clone and
    the server's repositories are not searched."""
    others = {lab.work_dir, f"{lab.git_dir}/repositories"}
    found = [lab.restoring_dir] if Path(lab.restoring_dir).is_dir() else []
    for folder, below, names in os.walk(lab.lab_dir):
        unfinished = {name for name in (*below, *names) if is_unfinished(name)}
        found += [f"{folder}/{name}" for name in unfinished]
        depth = len(Path(folder).relative_to(lab.lab_dir).parts) + 1
        below[:] = [
            name
            for name in below
            if depth < _DEPTH and name not in unfinished and f"{folder}/{name}" not in others
        ]
    return sorted(found)
