"""What is known of the drills that are staged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Staged:
    """A leak that is staged: commits, and the SHA-256 of the value, which nothing else tells.

    `before` is where main was, `leak` has the value in plain text, `fixed` is what main became.
    """

    before: str
    leak: str
    fixed: str
    digest: str


@dataclass(frozen=True)
class DrillState:
    """A drill of a learner; `on_main` is whether main holds what it staged.

    `staged` is None where the lab's own note of it cannot be read.
    """

    staged: Staged | None
    on_main: bool
