"""What is known about staged drills."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Staged:
    """A staged leak: three commits, and the SHA-256 of the leaked value, which is recorded nowhere
    else.

    `before` is main before the leak, `leak` has the value in plain text, `fixed` is main after it.
    """

    before: str
    leak: str
    fixed: str
    digest: str


@dataclass(frozen=True)
class DrillState:
    """A learner's drill; `on_main` is whether main contains the staged commits.

    `staged` is None if the lab's note about the drill cannot be read.
    """

    staged: Staged | None
    on_main: bool
