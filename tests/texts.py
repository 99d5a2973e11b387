"""Texts that tests change before they use them, write to files, or read from files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def replaced(text: str, old: str, new: str) -> str:
    """Return a text with `old` replaced. If the text does not contain `old`, the test fails."""
    assert old in text, f"nothing says {old!r} any more"
    return text.replace(old, new)


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into a folder.

    + files: their contents, by the paths below the folder
    """
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the contents of all files in a folder, by their paths below it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write_program(path: Path, text: str) -> Path:
    """Write a program's text to a path, make the file executable, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
