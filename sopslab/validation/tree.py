"""The files of a repository as Git hands them to Flux.

source-controller packs regular files only, so what lies behind a symbolic link never reaches the
cluster (fluxcd/pkg, artifact/storage/archive.go). What Git ignores is not in the repository at all.
Git may keep a file in another form than the work tree has it: filters such as those of git-lfs and
git-crypt, encodings, sparse checkouts. Flux clones without these, so it gets the form that Git
keeps. `artifact` tells which of the files in Git a source leaves out.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sopslab.errors import Exit, LabError

_SYMLINK, _SUBMODULE = "120000", "160000"
# Git attributes with which a file in the work tree may differ from what Git keeps.
_ATTRIBUTES = ("filter", "working-tree-encoding", "ident")
_MAX_BLOB = 5 * 1024 * 1024
_PATIENCE = 30  # seconds for a question to Git


@dataclass(frozen=True)
class Tree:
    """The files below a folder; paths are relative to it, with `/`."""

    root: Path
    files: frozenset[str]
    links: frozenset[str] = frozenset()
    untracked: frozenset[str] = frozenset()
    """Files in the folder that would not be part of the commit that is being made."""
    remotes: tuple[str, ...] = ()
    """The URLs of the repository's remotes."""
    branches: tuple[str, ...] = ()
    """The branch that is checked out, and the one that others get by default."""
    kept: Mapping[str, bytes] = field(default_factory=dict)
    """What Git has as the content of files that may differ in the work tree."""
    filtered: frozenset[str] = frozenset()
    """Files that Git keeps, or will keep, in another form than the work tree has them."""
    submodules: frozenset[str] = frozenset()
    is_git: bool = False
    """True for the top of a work tree."""
    left_out: frozenset[str] = frozenset()
    """Files that Git has, but that no source hands to Flux."""

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
        if path in self.kept:
            return self.kept[path] if path in self.files else None
        try:
            return (self.root / path).read_bytes() if path in self.files else None
        except OSError as error:
            raise LabError(f"{path} cannot be read: {error.strerror}") from None


def is_below(path: str, folder: str) -> bool:
    """True if a path is a folder or lies below it."""
    return folder == "." or path == folder or path.startswith(f"{folder}/")


def is_yaml(path: str) -> bool:
    """True for the files that Flux takes for manifests when nothing lists them."""
    return path.endswith((".yaml", ".yml"))


def work_tree_around(folder: Path) -> Path:
    """Return the top of the Git work tree that a folder lies in. Raises LabError without one."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n"))
    except _GitError:
        raise LabError(
            f"{folder} is not in a Git repository: go to one, or name the folder to check",
            Exit.INPUT,
        ) from None


def read_tree(root: Path, committing: bool = False) -> Tree:
    """List the files below a folder, as Git has them if it is the top of a work tree.

    + committing: leave out what Git has not been told to add

    Raises LabError if Git or the file system gives no answer.
    """
    if not root.is_dir():
        raise LabError(f"{root} is not a folder: name the top of a repository", Exit.INPUT)
    try:
        if (root / ".git").exists():
            return _from_git(root, committing)
        return _from_disk(root, _walk(root))
    except _GitError as error:
        raise LabError(str(error), Exit.INPUT) from None


def _from_git(root: Path, committing: bool) -> Tree:
    index = _index(root)
    others = _names(_git(root, "ls-files", "-z", "--others", "--exclude-standard"))
    if committing:
        # `git add --intent-to-add` only: not part of the commit.
        intended = _names(_git(root, "diff-files", "--diff-filter=A", "--name-only", "-z"))
        index = {path: entry for path, entry in index.items() if path not in intended}
        others |= intended
    pinned = {path for path, entry in index.items() if entry.is_pinned}
    names = {*index} if committing else {*index, *others}
    disk = _from_disk(root, names)
    links = {path for path, entry in index.items() if entry.mode == _SYMLINK}
    submodules = {path for path, entry in index.items() if entry.mode == _SUBMODULE}
    files = (disk.files | pinned) - links - submodules
    special, filters = _special(root, files)
    # To compare files, Git would run the filters, which are programs that the repository's
    # configuration names.
    for name in filters:
        if "=" in name:
            # In an option, the name would end there.
            raise _GitError(
                f"the filter {name!r} of .gitattributes cannot be switched off: give it a name"
                " without `=`"
            )
    off = [f"filter.{name}.{key}=" for name in filters for key in ("clean", "process")]
    off += [f"filter.{name}.required=false" for name in filters]
    options = [part for one in sorted(off) for part in ("-c", one)]
    changed = _names(_git(root, *options, "diff-files", "--name-only", "-z")) - pinned
    wanted = {path: index[path].oid for path in (special | pinned) & index.keys() - changed}
    kept = _blobs(root, {path: oid for path, oid in wanted.items() if path in files})
    return Tree(
        root,
        frozenset(files),
        disk.links | links,
        frozenset(others) if committing else frozenset(),
        _remotes(root),
        _branches(root),
        kept,
        frozenset(path for path in special if kept.get(path) != _content(root / path)),
        frozenset(submodules),
        is_git=True,
    )


def _from_disk(root: Path, names: Iterable[str]) -> Tree:
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
    return Tree(root, frozenset(files), frozenset(links))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


class _GitError(Exception):
    pass


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    return os.fsdecode(_raw(folder, *arguments, stdin=stdin))


def _raw(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    # The repository's own configuration must not start a program.
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _GitError(f"git cannot be asked: {error}") from None
    if done.returncode:
        raise _GitError(
            f"git {_verb(arguments)} failed with exit code {done.returncode} in {folder}"
        )
    return done.stdout


def _verb(arguments: Sequence[str]) -> str:
    return next(one for one in arguments if one != "-c" and "=" not in one)


def _names(text: str) -> set[str]:
    return {name for name in text.split("\0") if name}


@dataclass(frozen=True)
class _Entry:
    mode: str
    oid: str
    is_pinned: bool
    """True if Git ignores what the work tree has, for example in a sparse checkout."""


def _index(root: Path) -> dict[str, _Entry]:
    """Return Git's entry for each path in the index, as it would be committed."""
    found = {}
    for line in _names(_git(root, "ls-files", "-z", "-v", "--stage")):
        about, _, path = line.partition("\t")
        tag, mode, oid, _ = about.split()
        found[path] = _Entry(mode, oid, tag in ("S", "s", "h"))
    return found


def _special(root: Path, paths: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the paths that Git may keep in another form than a work tree, and the filters."""
    asked = "".join(f"{path}\0" for path in paths)
    if not asked:
        return set(), set()
    answer = _git(root, "check-attr", "-z", "--stdin", *_ATTRIBUTES, stdin=os.fsencode(asked))
    parts = answer.split("\0")
    found = [
        (path, attribute, value)
        for path, attribute, value in zip(parts[0::3], parts[1::3], parts[2::3], strict=False)
        if value not in ("unspecified", "unset")
    ]
    filters = {value for _, attribute, value in found if attribute == "filter"}
    return {path for path, _, _ in found}, filters


def _blobs(root: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of blobs by path; empty for those that are too large to be read."""
    asked = "".join(f"{oid}\n" for oid in wanted.values()).encode()
    sizes = _git(root, "cat-file", "--batch-check", stdin=asked).splitlines() if asked else []
    small = {
        path: oid
        for (path, oid), line in zip(wanted.items(), sizes, strict=True)
        if line.split()[-1].isdigit() and int(line.split()[-1]) <= _MAX_BLOB
    }
    found = dict.fromkeys(wanted, b"")
    asked = "".join(f"{oid}\n" for oid in small.values()).encode()
    answer = _raw(root, "cat-file", "--batch", stdin=asked) if asked else b""
    for path in small:
        head, _, answer = answer.partition(b"\n")
        size = int(head.split()[-1])
        found[path], answer = answer[:size], answer[size + 1 :]
    return found


def _remotes(root: Path) -> tuple[str, ...]:
    try:
        lines = _git(root, "config", "--get-regexp", r"^remote\..*\.url$").splitlines()
    except _GitError:
        return ()  # there are none
    return tuple(line.partition(" ")[2] for line in lines)


def _branches(root: Path) -> tuple[str, ...]:
    found = []
    for name in ("HEAD", "refs/remotes/origin/HEAD"):
        try:
            found.append(_git(root, "symbolic-ref", name).strip())
        except _GitError:
            continue  # a commit is checked out, or there is no such remote
    prefix = re.compile(r"refs/(?:heads|remotes/origin)/")
    return tuple(prefix.sub("", name) for name in found)


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(folder) / name).relative_to(root).as_posix()
