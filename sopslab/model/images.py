"""The lab's own images in a registry."""

from __future__ import annotations

from dataclasses import dataclass

GIT_SERVER = "sops-lab-git"
"""The name of the Git server's image in a registry."""


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry: what it was made of, and its reference by digest."""

    made_of: str
    reference: str
