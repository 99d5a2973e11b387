"""The QR code of a text."""

from __future__ import annotations

import segno

# A quarter of the code may be damaged: paper gets creases and coffee.
_CORRECTION = "q"
# The margin that scanners need, in modules: the squares of the code.
_QUIET = 4


def svg(text: str) -> str:
    """Return the code as an SVG element that scales with the element around it."""
    return segno.make_qr(text, error=_CORRECTION).svg_inline(border=_QUIET, omitsize=True)
