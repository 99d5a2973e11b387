"""The format of the files that a lab keeps: a number by which sopslab knows whether it understands
them."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """The format of a lab's folder, and the newest version of the product that brought the lab up.

    Labs that were made before formats had numbers have the number 0.
    """

    number: int = 0
    product: str = ""


def render_format(found: Format) -> str:
    """Return the text of the file in which a lab's folder records its format."""
    return json.dumps({"format": found.number, "product": found.product}) + "\n"


def parse_format(text: str) -> Format:
    """Return the format that the text of such a file names. Raises ValueError if it names none.

    Anything else that a newer product has written there is ignored, so that every version can read
    the number.
    """
    said = json.loads(text)
    number = said.get("format") if isinstance(said, dict) else None
    # JSON's true is not a number, though Python takes it for one.
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError("it names no format")
    product = said.get("product")
    return Format(number, product if isinstance(product, str) and product.isprintable() else "")
