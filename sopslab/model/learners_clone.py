"""What there is of the clone of the learner who is here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Where a clone came from, and whom it trusts there; "" for what it does not say."""

    url: str
    ca: str


@dataclass(frozen=True)
class LearnersClone:
    """What it lacks of "clone", "hooks" and "login", and where it came from, if it is there.

    `hook` is the text of the commit hook where sops-lab installed it, empty for any other.
    """

    missing: tuple[str, ...] = ("clone", "hooks")
    origin: Origin | None = None
    hook: str = ""
