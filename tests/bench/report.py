"""The report of the bench: build/bench.json, and build/bench.html for people.

The report has an entry for each part, with the time and the commit of its measurement. If a part is
measured again, its entry is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopslab.layout import PROJECT
from tests.bench.page import page

REPORT = PROJECT / "build" / "bench.json"
_FOUND = "found"


def load(path: Path) -> dict[str, Any]:
    """Return the parts of the report, by name.

    Raises FileNotFoundError if there is no report, KeyError if an older bench made it.
    """
    parts: dict[str, Any] = json.loads(path.read_text())["parts"]
    return parts


def save(parts: Mapping[str, Any], path: Path) -> None:
    """Write the report, and beside it the page that is made from it."""
    path.parent.mkdir(exist_ok=True)
    _replace(path, json.dumps({"parts": parts}, indent=2) + "\n")
    _replace(path.with_suffix(".html"), page(together(parts), parts))


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.replace(path)


def added(part: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of the report with one more finding."""
    return {**part, _FOUND: merged(part.get(_FOUND, {}), found)}


def together(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the findings of all parts."""
    whole: dict[str, Any] = {}
    for part in parts.values():
        whole = merged(whole, part.get(_FOUND, {}))
    return whole


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return both mappings as one, including mappings within them. Where both have a value, that of
    `other` counts."""
    new = dict(one)
    for key, value in other.items():
        old = new.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            new[key] = merged(old, value)
        else:
            new[key] = value
    return new
