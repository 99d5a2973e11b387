"""The folder of the cards: only its owner can read it, and a file in it is always whole."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from sopslab.errors import LabError
from sopslab.files.privatefile import NEW, write_private

_DIRECTORY, _FILE = 0o700, 0o600
_SUFFIXES = (".html", ".pdf")


def put(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Have `files` in a folder, and return the names of those that had to be written.

    What is there already stays untouched. Raises LabError where that cannot be.
    """
    try:
        _make(folder)
        changed = [name for name, content in files.items() if not _is(folder / name, content)]
        for name in changed:
            write_private(folder / name, files[name])
    except OSError as error:
        raise _cannot(folder, error) from None
    return changed


def drop(folder: Path, keep: Iterable[str]) -> list[str]:
    """Remove the cards in a folder but those named in `keep`; return what was removed."""
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
    # What a killed run left: whoever is here holds the lab's lock.
    for left in folder.glob(f"{NEW}*"):
        left.unlink()


def _is(path: Path, content: bytes) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    return mode == stat.S_IFREG | _FILE and path.read_bytes() == content


def _cannot(folder: Path, error: OSError) -> LabError:
    return LabError(f"the cards cannot be written to {folder} ({error.strerror})")
