"""The fonts that are embedded into the PDF, and what they can show.

PDF's own fonts know Latin-1 only. Noto Sans has Latin, Greek and Cyrillic, Noto Sans SC Chinese
and Japanese. Scripts whose letters change with their neighbours (Arabic, Devanagari, …) would need
a shaping engine, and are not shown rather than shown wrong.
"""

from __future__ import annotations

import functools
import importlib.resources
import io
import unicodedata
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]


def _file(package: str, *path: str) -> Path:
    return Path(str(importlib.resources.files(package).joinpath(*path)))


SANS = _file("textflowkit_fonts", "fonts", "NotoSans.ttf")
# Tells O from 0 and l from 1: passwords are typed off paper.
MONO = _file("fontpkg_ibm_plex_mono", "files", "IBMPlexMono-Regular.ttf")
CJK = _file("textflowkit_fonts", "fonts", "NotoSansSC.ttf")

_UNKNOWN = "?"
_HANGUL = "HANGUL SYLLABLE "


def shown(text: str) -> str:
    """Return `text` as the fonts can show it.

    Letters that they lack are written in Latin ones where Unicode itself knows how, else as `?`.
    """
    return "".join(
        character if _has(character) else _latin(character) for character in composed(text)
    )


def exact(text: str) -> str:
    """Return `text` with a `?` for each character that the fonts lack."""
    return "".join(character if _has(character) else _UNKNOWN for character in composed(text))


def composed(text: str) -> str:
    """Return `text` with letters and their accents in one character each, where there is one."""
    return unicodedata.normalize("NFC", text)


def rare(text: str) -> str:
    """Return the characters of `text` that only the large font has, in a fixed order."""
    return "".join(sorted({c for c in text if not _in(SANS, c) and _in(CJK, c)}))


@functools.cache
def cut(characters: str) -> bytes:
    """Return the large font with nothing but `characters`: whole, it would take seconds to use."""
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True)
    font = subset.load_font(str(CJK), options)
    cutter = subset.Subsetter(options)
    cutter.populate(text=characters)
    cutter.subset(font)
    buffer = io.BytesIO()
    subset.save_font(font, buffer, options)
    font.close()
    return buffer.getvalue()


def _has(character: str) -> bool:
    return _in(SANS, character) or _in(CJK, character)


def _in(font: Path, character: str) -> bool:
    return ord(character) in _characters(font)


@functools.cache
def _characters(font: Path) -> frozenset[int]:
    with TTFont(font, lazy=True) as opened:
        return frozenset(opened.getBestCmap())


def _latin(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith(_HANGUL):
        return name.removeprefix(_HANGUL).capitalize()
    plain = unicodedata.normalize("NFKD", character)
    letters = "".join(letter for letter in plain if _has(letter))
    return letters or _UNKNOWN
