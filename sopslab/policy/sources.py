"""Where the files to judge come from: the index, pushed commits, the whole history, or a tree.

Git is asked for blobs, never for the work tree: what is staged and what lies on disk may differ.
All blobs come from one ``git cat-file --batch``. Renames and copies count as new files, and every
commit counts, since what a later commit removes stays in history.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sopslab.policy.output import Bounds, Exceeded, printed, write_all

SYMLINK, SUBMODULE = "120000", "160000"
TEXT = "text"
"""The mode of text that is in no file: the message of a commit or tag, or names."""
KUSTOMIZATION_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""The names under which kustomize and Flux look for a kustomization, in their order."""
_REGULAR = "100644"
MAX_BLOB = 64 * 1024 * 1024
"""At most this many bytes, and one more, are read of a file on disk."""
OTHERS = Bounds(16 * 1024 * 1024, 60)
"""What git may print of a repository that others write."""
OWN = Bounds(128 * 1024 * 1024, 600)
"""What git may print of a whole history, and of what is about to be committed."""
_ZERO = re.compile(r"0+")
_WORD = re.compile(rb"[^\s\"'=,\[\]{}/]+")


class SourceError(Exception):
    """The files cannot be read, so nothing can be decided; the text is a sentence."""


class TooMuch(SourceError):
    """There are more files or bytes to read than the limit allows."""


@dataclass(frozen=True)
class Blob:
    """One file of one commit (empty for the index and for trees)."""

    path: str
    mode: str
    data: bytes
    commit: str = ""


class Source(Protocol):
    """A set of files to judge, and access to the other files of the same tree."""

    def blobs(self) -> Iterator[Blob]:
        """Yield every file to judge. Raises SourceError."""
        ...

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the file at *path* as it is in *commit*, None if it is not there."""
        ...

    def is_top(self, folder: str) -> bool:
        """True if *folder* is the top of a repository."""
        ...

    def share(self, commit: str) -> str:
        """Return with which other files those of *commit* count together, where the cost of their
        expressions is bounded."""
        ...


@dataclass(frozen=True)
class _Entry:
    path: str
    mode: str
    oid: str
    commit: str


class Repository:
    """Git in one repository: lists of changes, and blobs by id or by ``<commit>:<path>``."""

    def __init__(
        self,
        folder: str = ".",
        environment: Mapping[str, str] = os.environ,
        bounds: Bounds = OTHERS,
    ) -> None:
        """
        + bounds: what git may print for each question
        """
        self._folder = folder
        # Replace refs and grafts would show other content than what is pushed.
        self._environment = {**environment, "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
        self._bounds = bounds
        self._lookup: subprocess.Popen[bytes] | None = None

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what git prints. Raises SourceError if it fails, and TooMuch."""
        return b"".join(self._printed(arguments, stdin))

    def records(self, *arguments: str, stdin: bytes = b"") -> Iterator[bytes]:
        """Yield what git prints, up to each NUL, as it comes. Raises SourceError as `run` does."""
        rest = b""
        for piece in self._printed(arguments, stdin):
            *whole, rest = (rest + piece).split(b"\0")
            yield from whole
        if rest:
            yield rest

    def _printed(self, arguments: Sequence[str], stdin: bytes) -> Iterator[bytes]:
        command = ["git", "-C", self._folder, *arguments]
        try:
            yield from printed(command, self._environment, self._bounds, stdin=stdin)
        except Exceeded as error:
            raise TooMuch(
                f"there is too much to look at at once: git {arguments[0]} {error}"
            ) from None
        except subprocess.CalledProcessError as error:
            raise SourceError(
                f"git {arguments[0]} failed with exit code {error.returncode}"
            ) from None
        except OSError as error:
            raise SourceError(f"git cannot be started: {error.strerror}") from None

    def tree(self, commit: str, *paths: str, most: tuple[int, int]) -> Iterator[Blob]:
        """Yield the files at or below *paths* in *commit*.

        Raises TooMuch, before it reads any, if they exceed ``most``: numbers of files and of bytes.
        """
        listed = self.run("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
        entries: list[_Entry] = []
        size = 0
        for line in filter(None, listed.split(b"\0")):
            about, _, path = line.partition(b"\t")
            mode, _, oid, length = about.decode("ascii").split()
            entries.append(_Entry(os.fsdecode(path), mode, oid, commit))
            size += 0 if length == "-" else int(length)
        if len(entries) > most[0] or size > most[1]:
            raise TooMuch(f"more than {most[0]} files or {most[1]} bytes to look at")
        yield from self.blobs(entries)

    def _batch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["git", "-C", self._folder, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )

    def blobs(self, entries: list[_Entry]) -> Iterator[Blob]:
        """Yield the content of *entries*; submodules come first and have none."""
        wanted = []
        for entry in entries:
            if entry.mode == SUBMODULE:
                yield Blob(entry.path, entry.mode, b"", entry.commit)
            else:
                wanted.append(entry)
        if not wanted:
            return
        process = self._batch()
        assert process.stdin is not None
        requests = "".join(f"{entry.oid}\n" for entry in wanted).encode()
        writer = threading.Thread(target=write_all, args=(process, requests), daemon=True)
        writer.start()
        try:
            for entry in wanted:
                data = _answer(process)
                if data is None:
                    raise SourceError(f"object {entry.oid} is missing in the repository")
                yield Blob(entry.path, entry.mode, data, entry.commit)
        finally:
            process.kill()
            process.wait()
            writer.join()

    def texts(self, oids: Iterable[bytes]) -> Iterator[Blob]:
        """Yield commits and tags as Git keeps them: their names, dates and messages."""
        entries: list[_Entry] = []
        for oid in map(bytes.decode, oids):
            entries.append(_Entry("(what the commit or tag says)", TEXT, oid, oid))
        yield from self.blobs(entries)

    def kustomizations(self, tree: bytes, changed: Mapping[str, str]) -> Iterator[Blob]:
        """Yield the kustomizations of a tree that name a changed file, or may name one.

        *tree* is what ``git ls-tree -r -z`` or ``git ls-files -s -z`` lists; *changed* has the
        commit of each changed path.
        """
        entries = [
            entry
            for entry in _listed(tree)
            if posixpath.basename(entry.path) in KUSTOMIZATION_NAMES and entry.mode != SUBMODULE
        ]
        names = {os.fsencode(posixpath.basename(path)) for path in changed}
        # A name that is no word, such as one with a blank, is not looked for.
        may_name = not all(map(_WORD.fullmatch, names))
        for blob in self.blobs(entries):
            if may_name or not names.isdisjoint(_WORD.findall(blob.data)):
                yield blob

    def read(self, revision: str, path: str) -> bytes | None:
        """Return the blob at *path* in *revision* (empty: the index), None if there is none.

        Raises SourceError.
        """
        if path.startswith(("/", "../")) or path == ".." or "\0" in path:
            return None
        # A request is a line, without the carriage return at its end: git has `cat-file -z` only
        # since 2.38.
        odd = "\n" in path or path.endswith("\r")
        name = self._oid(revision, path) if odd else f"{revision}:{path}"
        return None if name is None else self._look_up(name)

    def _oid(self, revision: str, path: str) -> str | None:
        """Return the id of what is at *path* in *revision*, None if there is nothing."""
        listing = (
            ("ls-tree", "-z", "--full-tree", revision)
            if revision
            else ("ls-files", "-z", "-s", "--full-name")
        )
        listed = _listed(self.run(*listing, "--", f":(top,literal){path}"))
        return next((entry.oid for entry in listed if entry.path == path), None)

    def _look_up(self, name: str) -> bytes | None:
        """Return the blob of a name without line breaks, None if there is none."""
        if self._lookup is None:
            self._lookup = self._batch()
        assert self._lookup.stdin is not None
        # If git is gone, there is no answer either.
        with suppress(BrokenPipeError):
            self._lookup.stdin.write(os.fsencode(name) + b"\n")
            self._lookup.stdin.flush()
        return _answer(self._lookup)

    def close(self) -> None:
        """End the lookup process."""
        if self._lookup is not None:
            self._lookup.kill()
            self._lookup.wait()
            self._lookup = None


def _listed(tree: bytes) -> Iterator[_Entry]:
    """Yield the entries of ``git ls-tree -r -z`` or ``git ls-files -s -z``."""
    for line in filter(None, tree.split(b"\0")):
        about, _, path = line.partition(b"\t")
        oid = re.search(rb"\b[0-9a-f]{40,64}\b", about)
        assert oid is not None
        yield _Entry(os.fsdecode(path), about[:6].decode("ascii"), oid[0].decode("ascii"), "")


def _answer(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return one answer of ``git cat-file --batch``: the content of a blob, else None.

    What is missing, ambiguous or a submodule is answered with its name, in one line.
    """
    assert process.stdout is not None
    header = process.stdout.readline()
    if not header:
        raise SourceError("git cat-file ended early")
    parts = header.split()
    if len(parts) != 3 or not re.fullmatch(rb"[0-9a-f]{40,64}", parts[0]):
        return None
    data = process.stdout.read(int(parts[2]))
    process.stdout.read(1)
    return None if parts[1] == b"tree" else data


def _entries(records: Iterator[bytes], commit: str = "") -> Iterator[_Entry]:
    """Yield the new side of each change that ``git diff --raw -z`` lists.

    With ``--stdin``, ``git diff-tree`` also lists the commit before its changes.
    """
    for record in records:
        if record.startswith(b":"):
            _, mode, _, oid, _ = record[1:].decode("ascii").split(" ")
            yield _Entry(os.fsdecode(next(records)), mode, oid, commit)
        elif record:
            commit = record.decode("ascii")


_RAW = ("--raw", "--no-relative", "-z", "-r", "--no-renames", "--no-abbrev", "--diff-filter=d")


class Staged:
    """What the next commit would add: the index against HEAD."""

    def __init__(self, folder: str = ".") -> None:
        self._git = Repository(folder, bounds=OWN)

    def blobs(self) -> Iterator[Blob]:
        """Yield every staged file that differs from HEAD."""
        options = (*_RAW, "--no-ext-diff", "--ignore-submodules=dirty")
        entries = list(_entries(self._git.records("diff", "--cached", *options)))
        yield from self._git.blobs(entries)
        changed = {entry.path: "" for entry in entries}
        listed = self._git.run("ls-files", "-s", "-z", "--full-name", "--", ":/")
        for blob in self._git.kustomizations(listed, changed):
            if blob.path not in changed:
                yield blob

    def read(self, commit: str, path: str) -> bytes | None:
        """Return *path* as it is in the index."""
        return self._git.read(commit, path)

    def is_top(self, folder: str) -> bool:
        """True for the empty path."""
        return not folder

    def share(self, commit: str) -> str:
        """Return the same for all files."""
        return ""


class Commits:
    """Every file version that a set of commits introduced, even if a later one replaced it."""

    def __init__(
        self,
        folder: str,
        tips: Sequence[str],
        *without: str,
        refs: Sequence[str],
        bounds: Bounds = OTHERS,
        share: Callable[[str], str] = lambda _: "",
    ) -> None:
        """
        + tips: the revisions that the commits lead to
        + without: revisions whose commits are left out
        + refs: the names of refs to judge
        + bounds: what git may print for each question
        + share: with which others the files of a commit count together, as in `Source.share`
        """
        self._git = Repository(folder, bounds=bounds)
        self._tips = tuple(tips)
        self._revisions = (*tips, *without)
        self._refs = tuple(refs)
        self._share = share

    def blobs(self) -> Iterator[Blob]:
        """Yield each pair of content and path once, with the oldest commit that has it."""
        commits = self._git.run("rev-list", "--reverse", "--topo-order", *self._revisions)
        changes = self._git.records(
            "diff-tree", "--stdin", "-m", "--root", "--no-ext-diff", *_RAW, stdin=commits
        )
        unique: dict[tuple[str, str], _Entry] = {}
        for entry in _entries(changes):
            unique.setdefault((entry.oid, entry.path), entry)
        known = {entry.oid for entry in unique.values()}
        # Refs may point to trees and blobs, too, which no commit leads to.
        listed = self._git.run(
            *("rev-list", "--objects", "--filter=object:type=blob", "--filter-provided-objects"),
            *self._revisions,
        )
        for line in listed.splitlines():
            oid, _, path = os.fsdecode(line).partition(" ")
            if re.fullmatch(r"[0-9a-f]{40,64}", oid) and oid not in known:
                unique[(oid, path)] = _Entry(path or f"object {oid}", _REGULAR, oid, "")
        yield from self._git.blobs(list(unique.values()))
        yield from self._completed(unique.values())
        yield from self._said(commits, sorted({path for _, path in unique}))

    def _completed(self, entries: Iterable[_Entry]) -> Iterator[Blob]:
        """Yield kustomizations again, as of the tips, if they name files of other commits."""
        changed = {entry.path: entry.commit for entry in entries}
        tips = self._git.run("rev-list", "--no-walk", *self._tips).split()
        for tip in map(bytes.decode, tips if changed else ()):
            tree = self._git.run("ls-tree", "-r", "-z", "--full-tree", tip)
            for blob in self._git.kustomizations(tree, changed):
                if changed.get(blob.path) != tip:
                    yield replace(blob, commit=tip)

    def _said(self, commits: bytes, paths: Iterable[str]) -> Iterator[Blob]:
        """Yield the text that is in no file: commits, tags, the names of refs and files."""
        yield from self._git.texts(commits.split())
        tags = self._git.run(
            *("rev-list", "--objects", "--filter=object:type=tag", "--filter-provided-objects"),
            *self._revisions,
        )
        yield from self._git.texts(line.split()[0] for line in tags.splitlines())
        names = "\n".join([*self._refs, *paths])
        if names:
            yield Blob("(the names of refs and files)", TEXT, os.fsencode(names))

    def read(self, commit: str, path: str) -> bytes | None:
        """Return *path* as it is in *commit*."""
        return self._git.read(commit, path) if commit else None

    def is_top(self, folder: str) -> bool:
        """True for the empty path."""
        return not folder

    def share(self, commit: str) -> str:
        """Return what was said when this was made."""
        return self._share(commit)


def history(folder: str) -> Commits:
    """Return all commits of all refs. Raises SourceError for a shallow clone, which hides some."""
    shallow = Repository(folder).run("rev-parse", "--is-shallow-repository")
    if shallow.strip() == b"true":
        raise SourceError("the repository is a shallow clone, so its history cannot be checked")
    names = Repository(folder).run("for-each-ref", "--format=%(refname)")
    refs = [os.fsdecode(name) for name in names.splitlines()]
    # What was pushed together was judged by itself, and may be as costly as a push.
    return Commits(folder, ["--all"], refs=refs, bounds=OWN, share=str)


def pushed(lines: Iterable[str], folder: str = ".") -> Commits | None:
    """Return what a push adds, from the lines a pre-receive hook gets; None if it only deletes.

    Raises SourceError for lines of another form.
    """
    new: list[str] = []
    refs: list[str] = []
    for line in lines:
        parts = line.split(" ", 2)
        if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{40,64}", parts[1]):
            raise SourceError("the pre-receive hook was not given a list of refs")
        if not _ZERO.fullmatch(parts[1]):
            new.append(parts[1])
            refs.append(parts[2])
    return Commits(folder, new, "--not", "--all", refs=refs) if new else None


def differ(repository: Repository, old: str, new: str, path: str) -> bool:
    """Return whether two commits differ at *path*; an id of zeros stands for no commit.

    Raises SourceError.
    """
    if _ZERO.fullmatch(old) or _ZERO.fullmatch(new):
        return not _ZERO.fullmatch(new)
    return bool(repository.run("diff-tree", "--name-only", old, new, "--", path))


class Tree:
    """Files and directories on disk, without Git; .git itself is left out."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._roots: dict[str, Path] = {}

    def blobs(self) -> Iterator[Blob]:
        """Yield every file below the paths. Raises SourceError for what cannot be read."""
        for given in self._paths:
            path = Path(given)
            if not os.path.lexists(path):
                raise SourceError(f"{given} does not exist")
            if path.is_dir() and not path.is_symlink():
                for folder, folders, names in os.walk(path, onerror=_cannot_read):
                    folders[:] = sorted(name for name in folders if name != ".git")
                    links = [name for name in folders if (Path(folder) / name).is_symlink()]
                    for name in sorted([*names, *links]):
                        yield from self._file(Path(folder) / name)
            else:
                yield from self._file(path)

    def _file(self, path: Path) -> Iterator[Blob]:
        try:
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield Blob(str(path), SYMLINK, os.fsencode(path.readlink()))
            elif stat.S_ISREG(mode):
                with path.open("rb") as file:
                    yield Blob(str(path), _REGULAR, file.read(MAX_BLOB + 1))
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the file at *path*, if it is in a given tree or in the Git work tree around it."""
        target = Path(path)
        if not self._is_inside(target.absolute()):
            return None
        try:
            return target.read_bytes() if target.is_file() else None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from None

    def is_top(self, folder: str) -> bool:
        """True if *folder* holds a Git repository or work tree."""
        return (Path(folder) / ".git").exists()

    def share(self, commit: str) -> str:
        """Return the same for all files."""
        return ""

    def _is_inside(self, target: Path) -> bool:
        return any(
            Path(os.path.normpath(target)).is_relative_to(self._root(given))
            for given in self._paths
        )

    def _root(self, given: str) -> Path:
        if given not in self._roots:
            start = Path(os.path.normpath(Path(given).absolute()))
            folder = start if start.is_dir() else start.parent
            work_tree = next(
                (up for up in (folder, *folder.parents) if (up / ".git").exists()), None
            )
            self._roots[given] = work_tree or folder
        return self._roots[given]


def _cannot_read(error: OSError) -> None:
    raise SourceError(f"{error.filename} cannot be read: {error.strerror}")
