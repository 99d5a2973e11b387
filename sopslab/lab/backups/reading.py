"""Restore a backup: unpack it beside the lab's place, and check it there to its last byte before it
becomes the lab."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, cast

import zstandard

from sopslab.checks.backups import age_meaning, head_problem, is_carried, name_problem
from sopslab.checks.takeover import unfit
from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab.act import repositories as act_repositories
from sopslab.lab.backups.bounds import Refused, admitted, bounded_by_files
from sopslab.lab.backups.repositories import unbundle
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.tools import age, files
from sopslab.lab.tools.age import Passphrase
from sopslab.lab.tools.programs import Failed
from sopslab.model.backups import (
    BUNDLE,
    FILES,
    FOLDER,
    HEAD,
    LAB_FILE,
    REPOSITORIES,
    SUMS,
    BackupHead,
    BackupSums,
)
from sopslab.model.wire import decoded

_PIECE = 1 << 20
_MOST_HEAD = 1 << 20
# Bytes around all sums, for each sum, and for each letter of a name: in JSON, a letter takes at
# most two escapes of six bytes.
_SUMS, _SUM, _LETTER = 100, 100, 12
# More than the level of compression needs that backups are written with.
_WINDOW = 1 << 25


@dataclass(frozen=True)
class Restored:
    """What was restored: the backup's beginning, how many files, and how many commits."""

    head: BackupHead
    files: int
    commits: int


def restore(
    lab: Lab,
    file: Path,
    key: Callable[[IO[bytes]], Sequence[Path] | Passphrase],
    lab_file: Callable[[BackupHead], str | None],
) -> Restored:
    """Restore the lab of a backup, where there is no lab yet and no other run is at work.

    Raises LabError, and changes nothing, where there is a lab, or the backup is incomplete, not
    ours or of another lab.

    + key: returns what opens the file
    + lab_file: returns a lab file with those settings of the backup that differ from the present
      ones, None where all are the same
    """
    if lab_format(lab) is not None:
        raise LabError(
            f"there is a lab {lab.lab} already, in {lab.lab_dir}, and nothing was changed: `sopslab"
            " down --purge` removes it for ever",
            Exit.INPUT,
        )
    beside = Path(lab.restoring_dir)
    try:
        # age reads on where this process has stopped, so nothing may be read ahead.
        with file.open("rb", buffering=0) as source:
            opened = key(source)
            # Left by a killed run, if it is there.
            files.remove(beside)
            files.private_folder(beside)
            restored = _unpack(lab, source, opened, beside)
        text = lab_file(restored.head)
        if text is not None:
            files.write(beside / "labs" / lab.lab / LAB_FILE, text)
        _put(lab, beside)
    except Refused as error:
        raise LabError(f"{file} is refused: {error}; nothing was changed", error.code) from None
    except Failed as failure:
        meaning = age_meaning(failure.lines)
        raise LabError(f"{file} is refused: {meaning}; nothing was changed") from None
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise LabError(f"{file} could not be restored: {reason}; nothing was changed") from None
    finally:
        files.remove(beside)
    return restored


def _unpack(
    lab: Lab, source: IO[bytes], key: Sequence[Path] | Passphrase, beside: Path
) -> Restored:
    """Unpack the lab of a backup into a folder, as if the folder were the root. Raises Refused, and
    Failed where age does not open the backup."""
    # The repositories are made on this machine; `up` gives them to a Git server in the cluster.
    staged, bundles = replace(lab, root=str(beside), git_pod=None), beside / "bundles"
    with age.decrypting(lab, key, source) as plain:
        head, sums = _taken(plain, staged, bundles)
    # By now age has vouched for every byte.
    _check_format(staged)
    files_in = sum(name.startswith(FILES) and what != FOLDER for name, what in sums.items())
    commits = 0
    for repository in head.repositories:
        if f"{REPOSITORIES}{repository}{BUNDLE}" in sums:
            commits += _commits(staged, repository, bundles / f"{repository}{BUNDLE}")
    return Restored(head, files_in, commits)


def _check_format(staged: Lab) -> None:
    try:
        refused = unfit(lab_format(staged), 0)
    except LabError:
        refused = "it does not say which format its lab has"
    if refused is not None:
        raise Refused(refused, Exit.FORMAT)


def _commits(staged: Lab, repository: str, bundle: Path) -> int:
    try:
        return unbundle(staged, repository, bundle)
    except LabError as error:
        raise Refused(str(error)) from None


def _taken(plain: IO[bytes], staged: Lab, bundles: Path) -> tuple[BackupHead, Mapping[str, str]]:
    """Take the files out of an archive. Return how the archive begins, and the sums of these files.
    Raises Refused."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    try:
        with unpacker.stream_reader(plain, closefd=False) as unpacked:
            bounded = bounded_by_files(unpacked)
            with tarfile.open(mode="r|", fileobj=cast(IO[bytes], bounded)) as archive:
                members = admitted(archive, bounded, shutil.disk_usage(staged.root).free)
                found = _read(archive, members, staged, bundles)
            rest = iter(partial(bounded.read, _PIECE), b"")
            if any(piece.strip(b"\0") for piece in rest) or plain.read(1):
                raise Refused("it has more in it than its sums say")
    except (zstandard.ZstdError, tarfile.TarError, ValueError, OverflowError):
        raise Refused("it is damaged, or no backup of ours") from None
    return found


def _read(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], staged: Lab, bundles: Path
) -> tuple[BackupHead, Mapping[str, str]]:
    first = next(members, None)
    text = _whole(archive, first, HEAD, _MOST_HEAD)
    head = decoded(BackupHead, text)
    if head is None:
        raise Refused("it is no backup of ours")
    problem = head_problem(head, staged.lab)
    if problem is not None:
        raise Refused(problem)
    _make_repositories(staged, head.repositories)
    sums = {HEAD: hashlib.sha256(text).hexdigest()}
    for member in members:
        if member.name == SUMS:
            said = decoded(BackupSums, _whole(archive, member, SUMS, _longest(sums)))
            if said is None or said.files != sums or next(members, None) is not None:
                raise Refused("what is in it is not what its sums say")
            return head, sums
        problem = _problem(member, head, sums)
        if problem is not None:
            raise Refused(problem)
        sums[member.name] = _keep(archive, member, _place(member, staged, bundles))
    raise Refused("it is cut off")


def _whole(archive: tarfile.TarFile, member: tarfile.TarInfo | None, name: str, most: int) -> bytes:
    """Return the content of a file that has to come next in the archive. Raises Refused if it does
    not."""
    if member is None or member.name != name or not _is_file(member) or member.size > most:
        raise Refused(f"it has no {name} where that has to be")
    content = archive.extractfile(member)
    return b"" if content is None else content.read()


def _longest(sums: Collection[str]) -> int:
    """Return how many bytes the sums of the files with these names take at most."""
    return _SUMS + sum(_SUM + _LETTER * len(name) for name in sums)


def _is_file(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()


def _make_repositories(staged: Lab, repositories: list[str]) -> None:
    if repositories:
        files.private_folder(staged.git_dir)
        act_repositories.make(staged, repositories)


def _problem(member: tarfile.TarInfo, head: BackupHead, seen: Collection[str]) -> str | None:
    """Return why a file is refused, None if it is not; nothing of its content has been read yet."""
    problem = name_problem(member.name, seen)
    if problem is not None:
        return problem
    if member.name.startswith(REPOSITORIES):
        name = member.name.removeprefix(REPOSITORIES)
        if name.removesuffix(BUNDLE) not in head.repositories or not _is_file(member):
            return "it has a repository in it that it does not name"
    elif not (_is_file(member) or member.isdir()):
        return f"it has something in it that is neither a file nor a folder: {member.name[:80]!r}"
    return None


def _place(member: tarfile.TarInfo, staged: Lab, bundles: Path) -> Path | None:
    """Return where a file goes, None if this version makes the file anew."""
    name = member.name
    if name.startswith(REPOSITORIES):
        return bundles / name.removeprefix(REPOSITORIES)
    path = name.removeprefix(FILES)
    known = is_carried(f"{path}/" if member.isdir() else path)
    return Path(staged.lab_dir, path) if known else None


def _keep(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path | None) -> str:
    """Put a file or a folder in its place, if it has one, and return its sum."""
    if member.isdir():
        if place is not None:
            files.private_folder(place)
        return FOLDER
    target = os.devnull if place is None else place
    if place is not None:
        files.private_folder(place.parent)
    counted, content = hashlib.sha256(), archive.extractfile(member)
    # `x` fails if something is there: then two files of the backup are in each other's way.
    with open(target, "wb" if place is None else "xb", opener=files.private_opener) as file:
        while content is not None and (piece := content.read(_PIECE)):
            counted.update(piece)
            file.write(piece)
    if place is not None:
        place.chmod(0o700 if member.mode & 0o100 else 0o600)
        # The age of a password counts from the time of its file.
        os.utime(place, (member.mtime, member.mtime))
    return counted.hexdigest()


def _put(lab: Lab, beside: Path) -> None:
    """Put what was unpacked in the lab's place. The lab's lock file goes with it, so that a process
    that waits for the lock waits for this run."""
    folder, made = Path(lab.lab_dir), beside / "labs" / lab.lab
    (made / "lock").hardlink_to(folder / "lock")
    if (folder / "log").exists():
        (folder / "log").rename(made / "log")
    folder.rename(beside / "before")
    made.rename(folder)
