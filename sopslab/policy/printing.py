"""How text is shown that others have written, be it the name of a file or what a tool says: nothing
in it moves a cursor, sets a title, turns the direction of writing or fills a screen.
"""

from __future__ import annotations

import unicodedata

# Kept besides what can be seen: line feeds, tabs, and what joins and parts letters of some scripts.
_KEPT = "\n\t\u200c\u200d"
_LONGEST = 4000  # characters of a line


def printable(text: str) -> str:
    """Return a text as it may be shown: what cannot be seen is escaped, such as `\\x1b`, and what a
    line has beyond 4,000 characters is left out, and counted."""
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return "\n".join(_shown(line) for line in text.split("\n"))


def in_one_line(text: str) -> str:
    """Return the same without line feeds and tabs, for what has to stay in its line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _shown(line: str) -> str:
    more = len(line) - _LONGEST
    shown = "".join(map(_escaped, line[:_LONGEST]))
    return shown if more <= 0 else f"{shown} … ({more} more characters)"


def _escaped(char: str) -> str:
    if char.isprintable() or char in _KEPT or unicodedata.category(char) == "Zs":
        return char
    return char.encode("unicode_escape").decode("ascii")
