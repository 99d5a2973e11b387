"""Repositories of a Git server in the cluster, and the copies of them on the lab's machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listed:
    """What the server has of a repository: its refs, and what is written down beside them, each by
    its name."""

    refs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What is to become of a repository: lines for `git update-ref --stdin`; in base64 a pack of
    the objects that these need, empty where it has them; and what is to be written down beside it,
    by name."""

    updates: list[str]
    pack: str = ""
    notes: dict[str, str] = field(default_factory=dict)
