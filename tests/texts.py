"""Texts that tests change before they use them, or write to files."""

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


def write_program(path: Path, text: str) -> Path:
    """Write a program's text to a path, make the file executable, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
