"""The store of artifacts: what it has to hold, and what a machine has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["modules", "upstream"]
Arch = Literal["amd64", "arm64"]

# The label that an image from the store is known by.
RECIPE_LABEL = "sops-lab.recipe"


@dataclass(frozen=True)
class Entry:
    """What the store has to hold: a folder `<name>-<version>` made by this very recipe."""

    name: str
    version: str
    source: Source
    arch: Arch
    recipe: str
    files: tuple[str, ...]

    @property
    def key(self) -> str:
        """The folder in the store."""
        return f"{self.name}-{self.version}"

    @property
    def manifest(self) -> dict[str, str]:
        """The manifest of that folder, without the sums that filling it adds."""
        return {
            "name": self.name,
            "version": self.version,
            "source": self.source,
            "arch": self.arch,
            "recipe": self.recipe,
        }


@dataclass(frozen=True)
class StoredEntry:
    """A folder of the store: its manifest, the files in it now, and what they were when stored.

    Of a file, `files` and `stamp` have mode, size and time; `sums` are those of `doubtful` files.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, str]
    stamp: Mapping[str, str]
    sums: Mapping[str, str] = field(default_factory=dict)

    def doubtful(self) -> list[str]:
        """Return the files whose mode, size or time changed: their sums have to be seen."""
        listed = self.manifest.get("files", {})
        return [
            file
            for file in listed
            if file in self.files and self.files[file] != self.stamp.get(file)
        ]

    def fault(self, entry: Entry) -> str | None:
        """Return what is wrong where this should be `entry`, or None."""
        known = dict(self.manifest)
        listed: Mapping[str, str] = known.pop("files", {})
        if known != entry.manifest:
            return f"{entry.key} was made by another recipe"
        doubtful = self.doubtful()
        for file in sorted({*listed, *entry.files}):
            path = f"{entry.key}/{file}"
            if file not in self.files or file not in listed:
                return f"{path} is missing"
            if file in doubtful and self.sums.get(file) != listed[file]:
                return f"{path} is not what its manifest says"
            if file.startswith("bin/") and not int(self.files[file].split()[0], 8) & 0o111:
                return f"{path} cannot be run"
        return None


@dataclass(frozen=True)
class Store:
    """What a machine has of all that the catalog names.

    `source` is what the store was filled from, empty while it is not decided; `links` are those of
    the bin folder; `images` maps references to the recipe that made them; `cache` lists what is
    kept only while the store is being filled; `bundle` is what the entries of a bundle that was
    loaded are made from, empty without one.
    """

    arch: Arch = "amd64"
    source: str = ""
    entries: Mapping[str, StoredEntry] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    cache: tuple[str, ...] = ()
    bundle: str = ""

    def fault(self, entry: Entry) -> str | None:
        """Return what is wrong with an entry of the store, or None."""
        stored = self.entries.get(entry.key)
        return f"{entry.key} is missing" if stored is None else stored.fault(entry)
