"""The format of what a lab keeps: the number by which a product knows whether it understands it."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """The format of a lab's folder, and the version of the product that brought it there.

    Number 0 is that of labs which were made before there were numbers.
    """

    number: int = 0
    product: str = ""


def render_format(found: Format) -> str:
    """Return what a lab's folder says of its format."""
    return json.dumps({"format": found.number, "product": found.product}) + "\n"


def parse_format(text: str) -> Format:
    """Return the format that such a file names. Raises ValueError if it names none.

    What a newer product says beside it is passed over: the number has to be understood for ever.
    """
    said = json.loads(text)
    number = said.get("format") if isinstance(said, dict) else None
    # JSON's true is not a number, though Python takes it for one.
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError("it names no format")
    product = said.get("product")
    return Format(number, product if isinstance(product, str) and product.isprintable() else "")
