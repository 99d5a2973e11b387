"""What travels to another machine: members, each a tar archive that is known by its sum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sopslab.model.store import Arch

# An entry of the store, or the product with what its Python needs.
What = Literal["entry", "product"]
# Wheels are compressed already, and a bare machine can unpack a tar only.
Packing = Literal["zstd", "tar"]


@dataclass(frozen=True)
class Member:
    """One thing that travels.

    `name` is the folder that it becomes, `content` the digest of what it holds, however that is
    packed; `sha256` and `size` are those of the bytes that travel, and `unpacked` the bytes of its
    files.
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
        """What it is called wherever it is kept."""
        return f"{self.sha256}.tar{'.zst' if self.packing == 'zstd' else ''}"


def content_of(manifest: Mapping[str, Any]) -> str:
    """Return the digest of an entry of the store, by its manifest, which has the sum of each of its
    files."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
