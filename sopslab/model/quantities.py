"""Quantities as Kubernetes writes them."""

from __future__ import annotations

import re
from decimal import Decimal

_FORM = re.compile(r"((?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(n|u|m|k|Ki|[MGTPE]i?)?")
_UNITS = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_UNITS |= {unit: Decimal(1000) ** (n + 1) for n, unit in enumerate("kMGTPE")}
_UNITS |= {f"{unit}i": Decimal(1024) ** (n + 1) for n, unit in enumerate("KMGTPE")}


def quantity(text: str) -> Decimal:
    """Return a quantity such as `100m` or `64Mi` as a number of its unit: processors, bytes, pods.
    Raises ValueError for any other text."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(found[1]) * _UNITS[found[2] or ""]
