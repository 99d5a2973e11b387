"""The lab's repositories as git bundles, even if learners push meanwhile.

The refs are listed once, and the objects that they led to then are packed. A push adds its objects
before it moves a ref, so no object is missing. Objects go only where the Git server clears a
repository that is full; then git fails, and the refs are listed again. `git bundle create` would
not do: in the end it reads each ref again, and leaves out those that have moved.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.repositories import DOOMED
from sopslab.lab.observe.repositories import holds_objects, refs_of
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.programs import Failed

# gitformat-bundle(5)
_SIGNATURE = b"# v2 git bundle"
_ATTEMPTS = 3
_PATIENCE_S = 120


@dataclass(frozen=True)
class Bundle:
    """A bundle of all refs of a repository; `content` is empty where it has no ref yet."""

    content: bytes = b""
    commits: int = 0


def repositories(lab: Lab) -> list[str]:
    """Return the repositories of the lab's own Git server, by their paths without `.git`. What a
    killed run was removing, or had only begun to make, is left out."""
    folder = Path(lab.git_dir, "repositories")
    found = {
        str(place.relative_to(folder).with_suffix(""))
        for place in (*folder.glob("*.git"), *folder.glob("*/*.git"))
        if (place / "HEAD").exists() or holds_objects(place)
    }
    return sorted(one for one in found if not one.startswith(DOOMED))


def bundled(lab: Lab, repository: str) -> Bundle:
    """Return a repository as a bundle. Raises LabError if git cannot read it."""
    git = _git(lab, repository)
    for _ in range(_ATTEMPTS):
        try:
            return _bundled(git)
        except Failed:
            continue
    raise LabError(
        f"the repository {repository} could not be read: `sopslab doctor` says more, and `git"
        f" --git-dir={git.folder} fsck` what is missing"
    )


def _bundled(git: Git) -> Bundle:
    listed = git.run("for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    if not listed:
        return Bundle()
    tips = b"".join(line.partition(b" ")[0] + b"\n" for line in listed)
    pack = git.run(
        "pack-objects", "--quiet", "--stdout", "--revs", "--delta-base-offset",
        stdin=tips, patience=_PATIENCE_S,
    )  # fmt: skip
    # With a HEAD, a clone that somebody makes of the bundle by hand is on main.
    head = [line.replace(MAIN.encode(), b"HEAD") for line in listed if _is_main(line)]
    return Bundle(b"\n".join([_SIGNATURE, *listed, *head, b"", pack]), _commits(git, tips))


def _is_main(line: bytes) -> bool:
    return line.partition(b" ")[2] == MAIN.encode()


def refs_in(bundle: bytes) -> dict[str, str]:
    """Return what each ref of a bundle leads to. Raises ValueError if it is not a bundle."""
    head, end, _ = bundle.partition(b"\n\n")
    signature, *lines = head.split(b"\n")
    if signature != _SIGNATURE or not end:
        raise ValueError("it is no bundle of git's")
    named = (os.fsdecode(line).partition(" ") for line in lines)
    return {ref: commit for commit, _, ref in named if ref != "HEAD"}


def unbundle(lab: Lab, repository: str, bundle: Path) -> int:
    """Put the content of a bundle into an empty repository, and return the number of commits.

    Raises LabError if the repository then lacks anything that the bundle names.
    """
    git = _git(lab, repository)
    try:
        git.run(
            # One pack, and not a file for each object.
            "-c", "fetch.unpackLimit=1",
            "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", str(bundle),
            "+refs/*:refs/*", patience=_PATIENCE_S,
        )  # fmt: skip
        found = refs_of(git)
        if found == refs_in(bundle.read_bytes()):
            return _commits(git, "".join(f"{commit}\n" for commit in found.values()).encode())
    except (Failed, ValueError):
        pass
    raise LabError(f"its repository {repository} is damaged")


def _git(lab: Lab, repository: str) -> Git:
    return Git(lab, Path(lab.git_dir, "repositories", f"{repository}.git"))


def _commits(git: Git, tips: bytes) -> int:
    """Return how many commits there are in the histories of the tips."""
    return int(git.text("rev-list", "--count", "--stdin", stdin=tips))
