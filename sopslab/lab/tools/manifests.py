"""Manifests as text: YAML of which only the borders of documents are read."""

from __future__ import annotations

import re

_BORDER = re.compile(rb"^---[ \t]*\n", re.MULTILINE)
_IMAGE = re.compile(rb"^ *image: ([^ \n].*)$", re.MULTILINE)


def documents(text: bytes) -> list[bytes]:
    """Return the documents of a text, each with one newline at its end."""
    return [one.strip(b"\n") + b"\n" for one in _BORDER.split(text) if one.strip()]


def joined(parts: list[bytes]) -> bytes:
    """Return documents as one text."""
    return b"".join(b"---\n" + one for one in parts)


def images_of(text: bytes) -> list[str]:
    """Return the images that manifests name, as they come."""
    return [one.decode().strip() for one in _IMAGE.findall(text)]
