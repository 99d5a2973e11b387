"""Texts of the project's own that a test changes before it uses them."""

from __future__ import annotations


def replaced(text: str, old: str, new: str) -> str:
    """Return a text with `old` replaced; a text without it fails the test that wanted a change."""
    assert old in text, f"nothing says {old!r} any more"
    return text.replace(old, new)
