"""The versions that the catalog names, without all else that it says.

To read and validate the whole catalog takes a verb that only looks longer than some of its looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sopslab.errors import InputError
from sopslab.model.store import Source
from sopslab.model.yaml_loader import LOADER


@dataclass(frozen=True)
class Versions:
    """The versions of a catalog's entries, some of them by source. `sources` are those of which a
    node can be made."""

    file: Path
    sources: tuple[Source, ...]
    _by_name: Mapping[str, str | Mapping[Source, str]]

    def version(self, name: str, source: Source) -> str:
        """Return the version of an entry in `source`. Raises InputError if the catalog has none."""
        try:
            version = self._by_name[name]
            found = version if isinstance(version, str) else version[source]
        except (LookupError, TypeError):
            found = None
        if not isinstance(found, str):
            raise _lacking(self.file, f"no version of {name}")
        return found


def read_yaml(file: Path) -> Any:
    """Return what a catalog's file holds. Raises InputError if it cannot be read."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError([f"{file}: cannot be read: {error}"]) from None


def read_versions(path: str | Path) -> Versions:
    """Return the versions in a catalog. Nothing else of it is read, and none of it is validated.

    Raises InputError if the file has none.
    """
    file = Path(path)
    data = read_yaml(file)
    try:
        sources, by_name = tuple(data["node_image"]), data["versions"]
    except (LookupError, TypeError):
        raise _lacking(file, "no versions") from None
    if not sources:
        raise _lacking(file, "no node image")
    return Versions(file, sources, by_name)


def _lacking(file: Path, what: str) -> InputError:
    return InputError([f"{file}: has {what}: compare it with artifacts/catalog.yaml"])
