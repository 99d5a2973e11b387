"""A bundle: one file with all that a lab needs, and the manifest with which it begins."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.model.members import Member
from sopslab.model.store import Arch, Source

FORMAT = 1
# What the member is called that is no entry of the store.
PRODUCT = "product"


@dataclass(frozen=True)
class BundledFile:
    """A file that is in a bundle beside its members."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BundleManifest:
    """What a bundle has in it, in this order: files, then members.

    `product` is the version that made it, `catalog` the digest of what was pinned then, and
    `source` what its entries were made from. `without_licence` names what is in it of which no
    licence text could be had.
    """

    format: int
    product: str
    catalog: str
    source: Source
    arches: tuple[Arch, ...]
    pythons: tuple[str, ...]
    files: tuple[BundledFile, ...]
    members: tuple[Member, ...]
    without_licence: tuple[str, ...]

    def entries(self, arch: Arch) -> list[Member]:
        """Return the entries of the store that are in it for a kind of processors."""
        return [each for each in self.members if (each.what, each.arch) == ("entry", arch)]

    def product_for(self, arch: Arch) -> Member | None:
        """Return the product that is in it for a kind of processors, None without one."""
        for each in self.members:
            if (each.what, each.name, each.arch) == ("product", PRODUCT, arch):
                return each
        return None


@dataclass(frozen=True)
class LoadedBundle:
    """What is on record of the bundle that was loaded last: its entries' digests by folder, what
    they were made from, and the sum of its manifest."""

    manifest: str
    product: str
    source: Source
    entries: dict[str, str]
