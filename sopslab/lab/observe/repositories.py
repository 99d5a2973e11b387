"""The repositories of the lab's own Git server."""

from __future__ import annotations

import re
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.relay import where_repositories_are

_HEAD = re.compile(rb"ref: refs/|[0-9a-f]{40}")


def bare_repositories(lab: Lab, repositories: list[str]) -> list[str]:
    """Return which of the repositories are there, none where nobody can be asked; their paths are
    given without `.git`."""
    try:
        return those_there(lab, repositories)
    except Failed:
        return []


@where_repositories_are
def those_there(lab: Lab, repositories: list[str]) -> list[str]:
    """Return which of the repositories are there. Raises Failed."""
    folder = Path(lab.git_dir, "repositories")
    return [one for one in repositories if _is_there(folder / f"{one}.git")]


def _is_there(repository: Path) -> bool:
    # This is what git itself goes by; asking git takes a process for each seat of a class.
    head = files.read(repository / "HEAD") or b""
    folders = (repository / "objects", repository / "refs")
    return _HEAD.match(head) is not None and all(path.is_dir() for path in folders)
