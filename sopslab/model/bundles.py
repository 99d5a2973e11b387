"""A bundle: one file with everything that a lab needs. It begins with a manifest."""

from __future__ import annotations

from dataclasses import dataclass

from sopslab.model.members import Member
from sopslab.model.store import Arch, Source

FORMAT = 1
# The name of the member that is the product, and not an entry of the store.
PRODUCT = "product"


@dataclass(frozen=True)
class BundledFile:
    """A file in a bundle that is not one of its members."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BundleManifest:
    """The content of a bundle, in this order: files, then members.

    `product` is the version that made the bundle, `catalog` the digest of its catalog, and `source`
    what its entries were made from. `without_licence` names the parts for which no licence text was
    found.
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
        """Return the entries of the store in the bundle for an architecture."""
        return [each for each in self.members if (each.what, each.arch) == ("entry", arch)]

    def product_for(self, arch: Arch) -> Member | None:
        """Return the product in the bundle for an architecture, None if there is none."""
        for each in self.members:
            if (each.what, each.name, each.arch) == ("product", PRODUCT, arch):
                return each
        return None


@dataclass(frozen=True)
class LoadedBundle:
    """The record of the bundle that was loaded last: the sum of its manifest, the product that made
    it, what its entries were made from, and the digest of each entry by its folder."""

    manifest: str
    product: str
    source: Source
    entries: dict[str, str]
