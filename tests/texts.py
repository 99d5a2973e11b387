"""Texts that tests change before they use them, or write as programs."""

from __future__ import annotations

from pathlib import Path


def replaced(text: str, old: str, new: str) -> str:
    """Return a text with `old` replaced; a text without it fails the test that wanted a change."""
    assert old in text, f"nothing says {old!r} any more"
    return text.replace(old, new)


def write_program(path: Path, text: str) -> Path:
    """Write a text where it can be run, and return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path
