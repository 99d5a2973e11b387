"""A learner's repository, its beginning, and the clone of the learner who is here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class RepositoryState:
    """A learner's repository and a checkpoint.

    `main` and `target` are commits, None where main, or the checkpoint, is not there yet. `lost` is
    how many commits of main the checkpoint does not hold, `saved` the branch to keep them on.
    `problem` says why the repository cannot be put back.
    """

    main: str | None = None
    target: str | None = None
    lost: int = 0
    saved: str = ""
    problem: str | None = None

    @property
    def there(self) -> bool:
        """Whether main is at the checkpoint."""
        return self.problem is None and self.target is not None and self.main == self.target


@dataclass(frozen=True)
class CloneState:
    """The learner's clone beside the repository and a checkpoint.

    `unpushed` counts commits that only the clone has, `uncommitted` files; `there` is whether it is
    a clean main at the checkpoint; `saved` is the branch to keep the rest on.
    """

    unpushed: int = 0
    uncommitted: int = 0
    there: bool = False
    saved: str = ""


class CloneStanding(StrEnum):
    """How the learner's clone compares with main of the repository: the same, behind where it can
    simply follow, or apart where it has something of its own."""

    SAME = "same"
    BEHIND = "behind"
    APART = "apart"


@dataclass(frozen=True)
class Beginning:
    """The first commit of a learner's repository, before the canary is in it.

    `commit` is for `git fast-import`, to which files may be added. `rules` is its `.sops.yaml`, by
    which the canary is encrypted.
    """

    commit: str
    rules: str


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
