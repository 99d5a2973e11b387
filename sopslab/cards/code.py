"""The QR code of a text."""

from __future__ import annotations

from collections.abc import Iterator

import segno

# A quarter of the code may be damaged: paper gets creases and coffee.
_CORRECTION = "q"
# The margin that readers need, in modules.
_QUIET = 4


def svg(text: str) -> str:
    """Return the code as an SVG element that grows with what is around it."""
    return _code(text).svg_inline(border=_QUIET, omitsize=True)


def size(text: str) -> int:
    """Return the width of the code with its margin, in modules."""
    return int(_code(text).symbol_size(border=_QUIET)[0])


def bars(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield the dark parts of the code, row by row: column, row, width, in modules."""
    for row, modules in enumerate(_code(text).matrix_iter(border=_QUIET)):
        start = None
        for column, dark in enumerate((*modules, 0)):
            if dark and start is None:
                start = column
            elif not dark and start is not None:
                yield start, row, column - start
                start = None


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error=_CORRECTION)
