"""Whether the versions of Flux's command and controllers fit: they may be one minor version apart.

Flux supports an upgrade from one minor version to the next (flux2, docs: upgrade). The manifests of
a version use the kinds of that version.
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.\d+")


def skew(command: str, controllers: str) -> str:
    """Return in words why two versions do not fit; empty if they do, or if one is not known."""
    one, other = _parse(command), _parse(controllers)
    if one is None or other is None:
        return ""
    behind = "the command is" if one < other else "the controllers are"
    if one[0] != other[0]:
        return f"{behind} a major version behind"
    distance = abs(one[1] - other[1])
    return f"{behind} {distance} minor versions behind" if distance > 1 else ""


def _parse(version: str) -> tuple[int, int] | None:
    found = _VERSION.match(version)
    return (int(found[1]), int(found[2])) if found else None
