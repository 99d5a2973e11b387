"""Members: what is sent to another machine. Each is a tar archive that is identified by its sum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sopslab.model.store import Arch

# An entry of the store, or the product with the Python packages that it needs.
What = Literal["entry", "product"]
# The product is a plain tar: wheels are compressed already, and a bare machine may not have zstd.
Packing = Literal["zstd", "tar"]


@dataclass(frozen=True)
class Member:
    """One thing that is sent.

    `name` is the folder that it becomes. `content` is the digest of its content, which does not
    depend on how it is packed. `sha256` and `size` are those of the bytes that are sent; `unpacked`
    is the size of its files in bytes.
    """

    what: What
    name: str
    arch: Arch
    content: str
    packing: Packing
    sha256: str
    size: int
    unpacked: int

    @property
    def file(self) -> str:
        """The name of the file in which the member is kept."""
        return f"{self.sha256}.tar{'.zst' if self.packing == 'zstd' else ''}"


def content_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of an entry of the store. It is computed from the entry's manifest, which
    has the sum of each file."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
