"""Repositories of a Git server in the cluster, and their copies on the lab's machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Listed:
    """What the server has of a repository: the object of each ref, and the text of each of the
    lab's notes, by name."""

    refs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A change to a repository.

    `updates` are lines for `git update-ref --stdin`. `pack` holds the objects that they need, in
    base64; "" if the repository has them already. `notes` are the lab's notes to write, by name.
    """

    updates: list[str]
    pack: str = ""
    notes: dict[str, str] = field(default_factory=dict)
