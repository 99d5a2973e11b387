"""A learner's repository, its beginning, and the learner's clone on the lab's machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class RepositoryState:
    """How a learner's repository compares with a checkpoint.

    `main` is the commit of main, `target` that of the checkpoint; each is None if it does not exist
    yet. `lost` is how many commits of main a reset would take off main, `saved` the branch to keep
    them on. `problem` says why the repository cannot be reset.
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
    """How the learner's clone compares with the repository and a checkpoint.

    `unpushed` is the number of commits that only the clone has, `uncommitted` the number of changed
    files. `there` is whether the clone is on main at the checkpoint, without changes. `saved` is
    the branch on which a reset keeps everything else.
    """

    unpushed: int = 0
    uncommitted: int = 0
    there: bool = False
    saved: str = ""


class CloneStanding(StrEnum):
    """How the learner's clone compares with main of the repository: the same commit, behind it
    without anything of its own, or with something of its own."""

    SAME = "same"
    BEHIND = "behind"
    APART = "apart"


@dataclass(frozen=True)
class Beginning:
    """The first commit of a learner's repository, before the canary is added.

    `commit` is input for `git fast-import`, to which files may be appended. `rules` is the
    `.sops.yaml` in that commit, by which the canary is encrypted.
    """

    commit: str
    rules: str


@dataclass(frozen=True)
class Origin:
    """The URL that a clone came from, and the CA that it trusts there; "" for what its
    configuration does not have."""

    url: str
    ca: str


class CommitHook(StrEnum):
    """What Git runs before a commit: pre-commit with its checks; nothing, because the lab's hook is
    not there or cannot be run; or a hook of the learner's own, or what is left of one, that does
    not run pre-commit."""

    CHECKS = "checks"
    MISSING = "missing"
    OTHER = "other"


@dataclass(frozen=True)
class LearnersClone:
    """The learner's clone on the lab's machine.

    `missing` says which of "clone", "hooks" and "login" it lacks; a hook of the learner's own is
    not missing. `origin` is None if there is no clone. `hook` is the text of the commit hook if
    sops-lab installed it, else "".
    """

    missing: tuple[str, ...] = ("clone", "hooks")
    origin: Origin | None = None
    hook: str = ""
