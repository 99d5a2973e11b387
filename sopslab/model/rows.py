"""What the Git server is told about a learner, for the learner's own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OwnStep:
    """A step of the chapter: what was found, and the command that helps (`fix`). `progress` is
    `yes` (done), `no` (not done) or `unknown`."""

    id: str
    progress: str
    found: str
    fix: str
    stuck: bool


@dataclass(frozen=True)
class OwnRow:
    """How far one learner is.

    `seen` is the time of the last change. `asked` is since when the learner has been asking for
    help, None if the learner does not ask. Both are in seconds since 1970. `next` says what is in
    the way or comes next, and `fix` is the command that helps; both are empty when all is done.
    """

    seen: float
    steps: Sequence[OwnStep]
    next: str
    fix: str
    asked: float | None

    @property
    def open(self) -> OwnStep | None:
        """The step that `next` is about: the first that is stuck, else the first that is not done;
        None when all is done."""
        left = [step for step in self.steps if step.progress != "yes"]
        return next((step for step in left if step.stuck), left[0] if left else None)
