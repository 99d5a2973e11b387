"""Write a backup: a tar archive, compressed and encrypted on its way to the disk.

Ordinary tools open it where there is no sops-lab: `age --decrypt | zstd -d | tar -x`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard

from sopslab.checks.backups import age_meaning, amount_problem, is_carried
from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab.backups.repositories import bundled
from sopslab.lab.tools import age, files
from sopslab.lab.tools.age import Passphrase
from sopslab.lab.tools.programs import Failed
from sopslab.model.backups import (
    BUNDLE,
    FILES,
    FOLDER,
    HEAD,
    REPOSITORIES,
    SUMS,
    BackupHead,
    BackupSums,
)
from sopslab.model.wire import encode

_LEVEL = 6


@dataclass
class Written:
    """How many files, repositories and commits a backup has. `size` is the size of the encrypted
    file in bytes, and `left_out` has the paths of what is neither a file nor a folder."""

    files: int = 0
    repositories: int = 0
    commits: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)


def write(lab: Lab, head: BackupHead, file: Path, key: Sequence[str] | Passphrase) -> Written:
    """Write a backup of a lab that no other run works on. The file appears whole, for its owner
    alone; an older file at its path is replaced.

    Raises LabError where something cannot be read, encrypted or written.

    + head: what the backup begins with; it names the repositories that the backup has
    + key: the recipients that may open it, or a passphrase
    """
    written = Written()
    try:
        with files.new_file(file) as new:
            with (
                age.encrypting(lab, key, new) as plain,
                zstandard.ZstdCompressor(level=_LEVEL).stream_writer(plain, closefd=False) as to,
                tarfile.open(mode="w|", fileobj=to, format=tarfile.PAX_FORMAT) as archive,
            ):
                _fill(_Archive(archive), lab, head, written)
            written.size = new.tell()
    except Failed as failure:
        raise LabError(f"{file} could not be encrypted: {age_meaning(failure.lines)}") from None
    except OSError as error:
        place = error.filename if isinstance(error.filename, str) else file
        raise LabError(f"the backup failed at {place}: {error.strerror}", Exit.FAILED) from None
    return written


class _Archive:
    """An archive, and the sums of what was put into it."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.sums: dict[str, str] = {}

    def put(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        self.add(member, io.BytesIO(content))

    def add(self, member: tarfile.TarInfo, content: IO[bytes]) -> None:
        counted = _Counted(content)
        self._archive.addfile(member, counted)
        self.sums[member.name] = counted.sum.hexdigest()

    def add_folder(self, name: str) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, 0o700
        self._archive.addfile(member)
        self.sums[name] = FOLDER


class _Counted:
    """Bytes whose sum is taken while they are read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.sum = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        piece = self._content.read(size)
        self.sum.update(piece)
        return piece


def _fill(archive: _Archive, lab: Lab, head: BackupHead, written: Written) -> None:
    archive.put(HEAD, _json(head))
    carried = _carried(lab, written.left_out)
    names = [HEAD, SUMS, *(f"{FILES}{path}" for path in carried)]
    names += [f"{REPOSITORIES}{repository}{BUNDLE}" for repository in head.repositories]
    problem = amount_problem(len(names), sum(map(len, names)))
    if problem is not None:
        raise LabError(
            f"{lab.lab_dir} has {problem}, and would not be restored: remove what work/ and class/"
            " do not need"
        )
    for path in carried:
        if path.endswith("/"):
            archive.add_folder(f"{FILES}{path.rstrip('/')}")
        elif _add_file(archive, lab, path):
            written.files += 1
    for repository in head.repositories:
        bundle = bundled(lab, repository)
        if bundle.content:
            archive.put(f"{REPOSITORIES}{repository}{BUNDLE}", bundle.content)
        written.repositories += 1
        written.commits += bundle.commits
    archive.put(SUMS, _json(BackupSums(archive.sums)))


def _json(value: BackupHead | BackupSums) -> bytes:
    return json.dumps(encode(value), indent=1).encode()


def _carried(lab: Lab, left_out: list[str]) -> list[str]:
    """Return the paths of all files that are carried, and of empty folders with a `/` at their end.

    Git's objects come last: if a branch was read, the object that it leads to is read later, and is
    there.

    + left_out: gets the paths of links, and of everything else that is neither a file nor a folder
    """
    found: list[str] = []
    for path, is_carriable in _walk(Path(lab.lab_dir), ""):
        (found if is_carriable else left_out).append(path)
    return sorted(found, key=lambda path: (_is_object(path), path))


def _walk(top: Path, below: str) -> Iterator[tuple[str, bool]]:
    """Yield all paths that are carried, and for each whether it is a file or an empty folder."""
    entries = sorted(os.scandir(top / below), key=lambda entry: entry.name)
    if not entries and below:
        # Empty folders are carried, too: git takes nothing for a repository without the folder
        # `refs`.
        yield below, True
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        path = f"{below}{entry.name}/" if is_folder else f"{below}{entry.name}"
        if not is_carried(path):
            continue
        if is_folder:
            yield from _walk(top, path)
        else:
            yield path, entry.is_file(follow_symlinks=False)


def _is_object(path: str) -> bool:
    return "/objects/" in path


def _add_file(archive: _Archive, lab: Lab, path: str) -> bool:
    """Put a file into an archive as it is now. Return False if the file is gone, as a learner's
    mark may be at any time. Raises LabError if it is gone and was an object of git's, or if it has
    changed."""
    changed = LabError(f"{path} has changed while it was read: run `sopslab backup` again")
    try:
        # A learner may have put a link or a pipe there meanwhile.
        options = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(Path(lab.lab_dir, path), options)
    except FileNotFoundError:
        if _is_object(path):
            raise changed from None
        return False
    with os.fdopen(descriptor, "rb") as content:
        status = os.fstat(content.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise changed
        member = tarfile.TarInfo(f"{FILES}{path}")
        # What is appended after this is left to the next backup.
        member.size, member.mtime = status.st_size, status.st_mtime
        member.mode = 0o700 if status.st_mode & stat.S_IXUSR else 0o600
        try:
            archive.add(member, content)
        except OSError as error:
            # An error of tarfile's own has no number: the file is shorter than it was.
            if error.errno is None:
                raise changed from None
            raise
    return True
