"""The lab's repositories as git bundles: what refs led to at one moment, whoever pushes meanwhile.

git lists the refs once, and puts all that they lead to into the bundle. A push adds its objects
before it moves a ref, so none is missing; objects go only where the Git server clears a repository
that is full, and then git says so, and the bundle is made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.programs import Failed

_ATTEMPTS = 3
_PATIENCE_S = 120


@dataclass(frozen=True)
class Bundle:
    """A bundle of all refs of a repository; `content` is empty where it has no ref yet."""

    content: bytes = b""
    commits: int = 0


def repositories(lab: Lab) -> list[str]:
    """Return the repositories of the lab's own Git server, by their paths without `.git`."""
    folder = Path(lab.git_dir, "repositories")
    found = (*folder.glob("*.git/HEAD"), *folder.glob("*/*.git/HEAD"))
    return sorted(str(head.parent.relative_to(folder).with_suffix("")) for head in found)


def bundled(lab: Lab, repository: str) -> Bundle:
    """Return a repository as a bundle. Raises LabError if git cannot make one."""
    git = _git(lab, repository)
    for _ in range(_ATTEMPTS):
        try:
            if not git.run("for-each-ref", "--count=1"):
                return Bundle()
            content = git.run("bundle", "create", "--quiet", "-", "--all", patience=_PATIENCE_S)
            return Bundle(content, _commits(git, refs_of(content)))
        except Failed:
            continue
    raise LabError(
        f"the repository {repository} could not be read: `sopslab doctor` says more, and `git"
        f" --git-dir={git.folder} fsck` what is missing"
    )


def refs_of(bundle: bytes) -> dict[str, str]:
    """Return what the refs of a bundle lead to (gitformat-bundle(5)). Raises ValueError."""
    head, end, _ = bundle.partition(b"\n\n")
    signature, *lines = head.decode("utf-8", "surrogateescape").split("\n")
    if signature != "# v2 git bundle" or not end:
        raise ValueError("it is no bundle of git's")
    listed = [line.split(" ", 1) for line in lines]
    return {ref: commit for commit, ref in listed if ref != "HEAD"}


def unbundle(lab: Lab, repository: str, bundle: Path) -> int:
    """Have in an empty repository what a bundle has, and return the number of commits.

    Raises LabError if that is not all of what the bundle says.
    """
    git = _git(lab, repository)
    try:
        git.run(
            # One pack, and not a file for each object.
            "-c", "fetch.unpackLimit=1",
            "fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", str(bundle),
            "+refs/*:refs/*", patience=_PATIENCE_S,
        )  # fmt: skip
        listed = git.text("for-each-ref", "--format=%(objectname) %(refname)").split("\n")
        found = {ref: commit for commit, ref in (line.split(" ", 1) for line in listed)}
        if found == refs_of(bundle.read_bytes()):
            return _commits(git, found)
    except (Failed, ValueError):
        pass
    raise LabError(f"its repository {repository} is damaged")


def _git(lab: Lab, repository: str) -> Git:
    return Git(lab, Path(lab.git_dir, "repositories", f"{repository}.git"))


def _commits(git: Git, refs: Mapping[str, str]) -> int:
    """Return how many commits refs lead to."""
    asked = "".join(f"{commit}\n" for commit in refs.values()).encode()
    return int(git.text("rev-list", "--count", "--stdin", stdin=asked))
