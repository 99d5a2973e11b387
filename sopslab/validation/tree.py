"""The files of a repository as Flux would get them.

source-controller packs regular files only, so what lies behind a symbolic link never reaches the
cluster (fluxcd/pkg, artifact/storage/archive.go), and leaves out the files of Git, of CI systems
and .sops.yaml (fluxcd/pkg, sourceignore). What Git ignores is not in the repository at all.
"""

from __future__ import annotations

import os
import posixpath
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sopslab.errors import Exit, LabError

__all__ = ["Tree", "read_tree", "work_tree_around"]

_LEFT_OUT = {
    *(".goreleaser.yml", ".sops.yaml", ".flux.yaml", ".travis.yml", ".gitlab-ci.yml"),
    *("appveyor.yml", ".drone.yml", "cloudbuild.yaml", "codeship-services.yml"),
    "codeship-steps.yml",
}
_PATIENCE = 30  # seconds for a question to Git


@dataclass(frozen=True)
class Tree:
    """The files below a folder; paths are relative to it, with `/`."""

    root: Path
    files: frozenset[str]
    links: frozenset[str] = frozenset()
    untracked: frozenset[str] = frozenset()
    """What lies there, but would not be part of the commit that is being made."""
    remotes: tuple[str, ...] = ()
    """Where the repository is kept, if Git knows."""

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder with a file somewhere below it; the top is `.`."""
        found = {"."}
        for path in self.files:
            folder = posixpath.dirname(path)
            while folder and folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    @cached_property
    def _by_folder(self) -> dict[str, list[str]]:
        grouped: dict[str, list[str]] = {}
        for path in sorted(self.files):
            grouped.setdefault(posixpath.dirname(path) or ".", []).append(path)
        return grouped

    def in_folder(self, folder: str) -> list[str]:
        """Return the files that lie directly in a folder, in order."""
        return self._by_folder.get(folder, [])

    def below(self, folder: str) -> Iterator[str]:
        """Yield the files below a folder, in order."""
        for path in sorted(self.files):
            if is_below(path, folder):
                yield path

    def link_on_the_way(self, path: str) -> str | None:
        """Return the symbolic link that a path leads through, None if there is none."""
        parts = path.split("/")
        ways = ("/".join(parts[: count + 1]) for count in range(len(parts)))
        return next((way for way in ways if way in self.links), None)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None if it is not one of the tree.

        Raises LabError if it cannot be read.
        """
        try:
            return (self.root / path).read_bytes() if path in self.files else None
        except OSError as error:
            raise LabError(f"{path} cannot be read: {error.strerror}") from None


def is_below(path: str, folder: str) -> bool:
    """True if a path is a folder or lies below it."""
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def is_yaml(path: str) -> bool:
    """True for the files that Flux takes for manifests when nothing lists them."""
    return path.endswith((".yaml", ".yml")) and posixpath.basename(path) not in _LEFT_OUT


def work_tree_around(folder: Path) -> Path:
    """Return the top of the Git work tree that a folder lies in. Raises LabError without one."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    except _GitError:
        raise LabError(
            f"{folder} is in no Git repository: go to one, or name the folder to check",
            Exit.INPUT,
        ) from None


def read_tree(root: Path, committing: bool = False) -> Tree:
    """List the files below a folder, as Git has them if it is the top of a work tree.

    + committing: leave out what Git has not been told to add

    Raises LabError if Git or the file system gives no answer.
    """
    if not root.is_dir():
        raise LabError(f"{root} is not a folder: name the top of a repository", Exit.INPUT)
    remotes: tuple[str, ...] = ()
    untracked: frozenset[str] = frozenset()
    try:
        if (root / ".git").exists():
            tracked = _listed(root, "--cached")
            others = _listed(root, "--others", "--exclude-standard")
            names = tracked if committing else tracked | others
            untracked = frozenset(others) if committing else untracked
            remotes = _remotes(root)
        else:
            names = set(_walk(root))
    except _GitError as error:
        raise LabError(str(error), Exit.INPUT) from None
    files, links = set(), set()
    for name in names:
        try:
            mode = (root / name).lstat().st_mode
        except OSError:
            continue  # deleted, and not yet told to Git
        if stat.S_ISLNK(mode):
            links.add(name)
        elif stat.S_ISREG(mode):
            files.add(name)
    return Tree(root, frozenset(files), frozenset(links), untracked, remotes)


class _GitError(Exception):
    pass


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _GitError(f"git cannot be asked: {error}") from None
    if done.returncode:
        raise _GitError(f"git {arguments[0]} failed with exit code {done.returncode} in {folder}")
    return os.fsdecode(done.stdout)


def _listed(root: Path, *options: str) -> set[str]:
    return {name for name in _git(root, "ls-files", "-z", *options).split("\0") if name}


def _remotes(root: Path) -> tuple[str, ...]:
    try:
        lines = _git(root, "config", "--get-regexp", r"^remote\..*\.url$").splitlines()
    except _GitError:
        return ()  # there are none
    return tuple(line.partition(" ")[2] for line in lines)


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(folder) / name).relative_to(root).as_posix()
