"""Objects of the lab as Docker describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Container:
    """A container: whether it runs, and is not paused; its networks, and its labels."""

    running: bool
    networks: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Network:
    """A network: its labels."""

    labels: Mapping[str, str]
