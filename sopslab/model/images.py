"""Images of the lab's own in a registry."""

from __future__ import annotations

from dataclasses import dataclass

GIT_SERVER = "sops-lab-git"
"""What the Git server's image is called in a registry."""


@dataclass(frozen=True)
class PushedImage:
    """An image in a registry: what it was made of, and its reference by digest."""

    made_of: str
    reference: str
