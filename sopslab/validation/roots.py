"""The roots of builds: what a Flux Kustomization applies, and what nothing in the tree applies."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sopslab.validation.objects import Object
from sopslab.validation.overlays import Overlay, Overlays


@dataclass(frozen=True)
class Root:
    """An overlay, and the Flux Kustomization that applies it (None: not one of this tree)."""

    overlay: Overlay
    written: Object | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    """The Flux Kustomization's spec as it is applied; the build that applies it may change it."""
    ignore: str = ""
    """What the source of the Flux Kustomization leaves out (`spec.ignore`)."""

    @property
    def place(self) -> str:
        """The file to name in a finding about the whole."""
        return self.written.path if self.written is not None else self.overlay.place

    @property
    def decrypts(self) -> bool:
        """True if the Flux Kustomization decrypts, or is not in this tree and so may decrypt."""
        return self.written is None or bool(self.spec.get("decryption"))

    @property
    def components(self) -> list[str]:
        """The folders of the components that the Flux Kustomization adds."""
        listed = self.spec.get("components")
        folder = self.overlay.folder
        return [
            posixpath.normpath(posixpath.join(folder, one))
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, str)
        ]


def parts_of(root: Root, overlays: Overlays) -> list[Overlay]:
    """Return the overlays that a root is built from."""
    starts = [root.overlay]
    starts += [overlays.by_folder[one] for one in root.components if one in overlays.by_folder]
    parts = {part.folder: part for start in starts for part in overlays.closure(start)}
    return list(parts.values())
