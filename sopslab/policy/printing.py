"""Make text that others wrote safe to show, such as the name of a file or the output of a tool.

The result cannot move a cursor, set a title, turn the direction of writing or fill a screen.
"""

from __future__ import annotations

import unicodedata

# Kept besides characters that can be seen: line feeds, tabs, and U+200C and U+200D, which part and
# join the letters of some scripts.
_KEPT = "\n\t\u200c\u200d"
_LONGEST = 4000  # characters of a line


def printable(text: str) -> str:
    """Return *text* with characters that cannot be seen escaped, for example as `\\x1b`.

    A line ends after 4,000 characters, with the number of those that are left out.
    """
    if len(text) <= _LONGEST and text.isprintable():
        return text
    return "\n".join(_shown(line) for line in text.split("\n"))


def escaped(text: str) -> str:
    """Return *text* with characters that cannot be seen escaped, and lines of any length whole."""
    return "".join(map(_escaped, text))


def in_one_line(text: str) -> str:
    """Return `printable` text that stays in one line: line feeds and tabs are escaped, too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _shown(line: str) -> str:
    more = len(line) - _LONGEST
    shown = escaped(line[:_LONGEST])
    return shown if more <= 0 else f"{shown} … ({more} more characters)"


def _escaped(char: str) -> str:
    if char.isprintable() or char in _KEPT or unicodedata.category(char) == "Zs":
        return char
    return char.encode("unicode_escape").decode("ascii")
