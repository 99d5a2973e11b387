"""The store of artifacts: what it has to hold, and what it holds on a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["modules", "upstream"]
Arch = Literal["amd64", "arm64"]

# The label that identifies an image from the store; its value is the recipe.
RECIPE_LABEL = "sops-lab.recipe"


@dataclass(frozen=True)
class Entry:
    """An entry that the store has to hold: a folder `<name>-<version>` made by exactly this
    recipe."""

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
        """The manifest of the folder, without the sums that are added when it is filled."""
        return {
            "name": self.name,
            "version": self.version,
            "source": self.source,
            "arch": self.arch,
            "recipe": self.recipe,
        }


@dataclass(frozen=True)
class StoredEntry:
    """A folder of the store.

    `files` has mode, size and modification time of each file now, `stamp` those at the time when it
    was stored. `sums` has the SHA-256 of the `doubtful` files only.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, str]
    stamp: Mapping[str, str]
    sums: Mapping[str, str] = field(default_factory=dict)

    def doubtful(self) -> list[str]:
        """Return the files whose mode, size or time has changed, so that their sums have to be
        checked."""
        listed = self.manifest.get("files", {})
        return [
            file
            for file in listed
            if file in self.files and self.files[file] != self.stamp.get(file)
        ]

    def fault(self, entry: Entry) -> str | None:
        """Return how this folder differs from what `entry` wants, None if it does not."""
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
    """What a machine has of everything that the catalog names.

    `source` is what the store was filled from, "" as long as that is not decided. `links` are the
    links in the bin folder. `images` maps references of images to the labels of each. `cache` lists
    what is kept only while the store is being filled. `bundle` is what the entries of a loaded
    bundle were made from, "" without one.
    """

    arch: Arch = "amd64"
    source: str = ""
    entries: Mapping[str, StoredEntry] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cache: tuple[str, ...] = ()
    bundle: str = ""

    def fault(self, entry: Entry) -> str | None:
        """Return what is wrong with an entry of the store, None if nothing is."""
        stored = self.entries.get(entry.key)
        return f"{entry.key} is missing" if stored is None else stored.fault(entry)
