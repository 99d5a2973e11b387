"""The repositories of the lab's own Git server, which learners fill."""

from __future__ import annotations

import base64
import stat
import tempfile
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.observe.repositories import holds_objects
from sopslab.lab.tools import files
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.relay import where_repositories_are
from sopslab.model.copies import Change

DOOMED = ".removed-"
"""How the name of a folder begins that is being removed. No owner's id begins with a dot."""

# From this number of objects on, a pack is kept as one file: that many single files, each flushed
# to the disk, would take minutes.
_PACKED = 100


@where_repositories_are
def make(lab: Lab, repositories: list[str]) -> None:
    """Make bare repositories. Whatever is in the place of one is removed: it is not yet a
    repository. Raises LabError, and removes nothing, if objects are there: then it was one.

    + repositories: their paths, without `.git`
    """
    data = Path(lab.git_dir)
    places = [data / "repositories" / f"{repository}.git" for repository in repositories]
    lost = [
        f"{place} has commits in it, and is no repository any more: it needs `ref: refs/heads/main`"
        " in its file HEAD, and a folder refs; or move it elsewhere, and `sopslab up` makes another"
        for place in places
        if holds_objects(place)
    ]
    if lost:
        raise LabError("\n".join(lost))
    # Both the server and git on the host write there.
    with files.umask(0o007), tempfile.TemporaryDirectory(prefix="sops-lab-repository-") as new:
        # Git makes one repository, and this process copies it: a class needs hundreds of folders.
        empty = Path(new, "empty")
        _make_empty(lab, empty)
        folders = [path.relative_to(empty) for path in empty.rglob("*") if path.is_dir()]
        for place in places:
            files.remove(place)
            for folder in folders:
                (place / folder).mkdir(parents=True, exist_ok=True)
        # HEAD comes last: without it, a folder is not yet a repository.
        for place in places:
            for name in ("config", "HEAD"):
                (place / name).write_bytes((empty / name).read_bytes())
            if place.parent.name != "repositories":
                _close(place.parent)


def _make_empty(lab: Lab, folder: Path) -> None:
    git = Git(lab, folder)
    git.run(
        "-c", "init.defaultBranch=main", "init", "--quiet", "--bare", "--shared=group",
        "--template=",
    )  # fmt: skip
    # In a shared repository, Git refuses forced pushes; but this one is the learner's own.
    git.run("config", "--unset", "receive.denyNonFastforwards")


def _close(folder: Path) -> None:
    """Let nobody but the owner make repositories in a folder."""
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IWGRP)


@where_repositories_are
def change(lab: Lab, changes: dict[str, Change]) -> dict[str, str]:
    """Change repositories, each as a whole or not at all, without the hooks of a push. Return git's
    words, which are for the log, for each repository where it refuses.

    + changes: by the repository's path, without `.git`
    """
    refused = {}
    for repository, wanted in changes.items():
        git = Git(lab, Path(lab.git_dir, "repositories", f"{repository}.git")).durable()
        try:
            if wanted.pack:
                _take_in(git, base64.b64decode(wanted.pack))
            git.unlock(line.split(" ")[1] for line in wanted.updates)
            git.update_refs(*wanted.updates)
        except Failed as failure:
            refused[repository] = failure.words.decode("utf-8", "replace")
            continue
        for name, text in wanted.notes.items():
            files.write(git.folder / name, text, 0o640)
    return refused


def _take_in(git: Git, pack: bytes) -> None:
    """Add the objects of a pack to a repository. Raises Failed."""
    # gitformat-pack(5)
    count = int.from_bytes(pack[8:12])
    if count < _PACKED:
        git.run("unpack-objects", "-q", stdin=pack)
    else:
        git.run("index-pack", "--stdin", "--fix-thin", stdin=pack)


@where_repositories_are
def remove(lab: Lab, owners: list[str]) -> None:
    """Remove all repositories of the owners with these ids, and what is left of others that a
    killed run was removing."""
    folder = Path(lab.git_dir, "repositories")
    for owner in owners:
        # Renamed first: half a repository would pass for one that is there and cannot be read.
        doomed = folder / f"{DOOMED}{owner}"
        files.remove(doomed)
        files.archive(folder / owner, doomed)
    for doomed in sorted(folder.glob(f"{DOOMED}*")):
        files.remove(doomed)
