"""Find the line numbers of offsets, fast enough for files with very many findings."""

from __future__ import annotations

from bisect import bisect_left


class Lines:
    """The lines of a text; its line breaks are looked for when the first number is wanted."""

    def __init__(self, text: str | bytes) -> None:
        self._text = text
        self._breaks: list[int] | None = None

    def at(self, offset: int) -> int:
        """Return the 1-based line of *offset*."""
        if self._breaks is None:
            wanted: str | int = "\n" if isinstance(self._text, str) else ord("\n")
            self._breaks = [index for index, char in enumerate(self._text) if char == wanted]
        return bisect_left(self._breaks, offset) + 1
