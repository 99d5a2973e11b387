"""The repositories of the lab's own Git server."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from sopslab.config.places import Lab, Places
from sopslab.lab.tools import files
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.relay import where_repositories_are
from sopslab.model.copies import Listed
from sopslab.model.hints import RECORD
from sopslab.model.mark import MARK

NOTES = (MARK, RECORD)
"""The files in a repository that are the lab's own."""
_AT_ONCE = 4

# Two letters of an object's name are the folder that it is in.
_REST_OF_NAME = 38
_HEAD = re.compile(rb"ref: refs/|[0-9a-f]{40}")


@where_repositories_are
def those_there(lab: Lab, repositories: list[str]) -> list[str]:
    """Return which of the repositories exist. Raises LabError if the server's pod does not
    answer."""
    folder = Path(lab.git_dir, "repositories")
    return [one for one in repositories if _is_there(folder / f"{one}.git")]


def _is_there(repository: Path) -> bool:
    # Git itself applies the same test, but would take a process for each seat of a class.
    head = files.read(repository / "HEAD") or b""
    folders = (repository / "objects", repository / "refs")
    return _HEAD.match(head) is not None and all(path.is_dir() for path in folders)


def holds_objects(repository: Path) -> bool:
    """Return whether a folder has objects of git's, even if git takes it for no repository. What a
    killed push leaves beside them does not count."""
    objects = repository / "objects"
    loose, packs = objects.glob(f"??/{'?' * _REST_OF_NAME}"), objects.glob("pack/*.pack")
    return any(path.is_file() for path in chain(loose, packs))


@where_repositories_are
def listed(places: Places, repositories: list[str]) -> dict[str, Listed]:
    """Return the refs and notes of repositories, by their paths without `.git`. A repository that
    does not exist is left out. Raises Failed, and LabError if the server's pod does not answer."""
    folders = {one: Path(places.git_dir, "repositories", f"{one}.git") for one in repositories}
    there = {one: folder for one, folder in folders.items() if _is_there(folder)}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        refs = pool.map(lambda folder: refs_of(Git(places, folder)), there.values())
        return {
            one: Listed(found, notes_of(folder))
            for (one, folder), found in zip(there.items(), refs, strict=True)
        }


def refs_of(git: Git) -> dict[str, str]:
    """Return the object that each ref of a repository points at, by the ref's name. Raises
    Failed."""
    said = git.run("for-each-ref", "--format=%(objectname) %(refname)")
    # Split as bytes: text would also be split at characters that the name of a ref may contain.
    lines = (os.fsdecode(line).split(" ", 1) for line in said.splitlines())
    return {name: commit for commit, name in lines}


def notes_of(repository: Path) -> dict[str, str]:
    """Return the lab's own notes in the folder of a repository, by their file names."""
    found = {name: files.read(repository / name) for name in NOTES}
    return {name: text.decode("ascii", "replace") for name, text in found.items() if text}
