"""The folder of the cards: only its owner can read it, and a file in it is always whole."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from sopslab.errors import LabError
from sopslab.files.privatefile import NEW, write_private

_DIRECTORY, _FILE = 0o700, 0o600
_SUFFIXES = (".html", ".pdf")


def put(folder: Path, files: Mapping[str, bytes | None]) -> list[str]:
    """Write `files` into a folder, in their order, and return the names of those that changed.

    A file that is right already is not touched. Raises LabError if the files cannot be written.

    + files: the content by file name; None for a file that must not be there
    """
    try:
        _make(folder)
        changed = [name for name, content in files.items() if not _is(folder / name, content)]
        for name in changed:
            content = files[name]
            if content is None:
                (folder / name).unlink()
            else:
                write_private(folder / name, content)
    except OSError as error:
        raise _cannot(folder, error) from None
    return changed


def has(folder: Path, name: str, content: bytes | None = None) -> bool:
    """Return whether there is a private file of this name, with this content if one is given.

    Raises LabError if the file cannot be read.
    """
    path = folder / name
    try:
        return _is_private(path) and content in (None, path.read_bytes())
    except OSError as error:
        raise _cannot(folder, error) from None


def drop(folder: Path, keep: Iterable[str]) -> list[str]:
    """Remove the cards in a folder except those named in `keep`; return what was removed."""
    kept = set(keep)
    try:
        gone = sorted(
            path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.stem not in kept
        )
        for path in gone:
            path.unlink()
    except OSError as error:
        raise _cannot(folder, error) from None
    return [path.name for path in gone]


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=_DIRECTORY)
    if stat.S_IMODE(folder.stat().st_mode) != _DIRECTORY:
        folder.chmod(_DIRECTORY)
    # Left by a killed run. This run holds the lab's lock, so nobody else is writing them.
    for left in folder.glob(f"{NEW}*"):
        left.unlink()


def _is(path: Path, content: bytes | None) -> bool:
    if content is None:
        return not os.path.lexists(path)
    return _is_private(path) and path.read_bytes() == content


def _is_private(path: Path) -> bool:
    try:
        return path.lstat().st_mode == stat.S_IFREG | _FILE
    except (FileNotFoundError, NotADirectoryError):
        return False


def _cannot(folder: Path, error: OSError) -> LabError:
    return LabError(f"the cards cannot be written to {folder} ({error.strerror})")
