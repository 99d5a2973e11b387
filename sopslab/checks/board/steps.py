"""The steps of the chapter at a seat, and the rows of the board."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.course.chapter import SECRET, UP, Chapter

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

STEPS = ("access", "key", "pushed", "encrypted", "wired", "source", "applied", "secret")
"""The ids of the steps, each after those that it depends on. All are judged by the Git server's
main, and not by the learner's clone.

A step that `sopslab verify` has, too, means the same there; checks of the learner's machine are
left out. `access` is what the lab gives a learner at the beginning.
"""

INFRASTRUCTURE = ("access", "key", "source")
"""The steps for which the lab is responsible, and not the learner."""


@dataclass(frozen=True)
class SeatChapter(Chapter):
    """The chapter at a seat, where only the instructor can repair the key and Flux's objects."""

    @property
    @override
    def setup(self) -> str:
        return UP

    @property
    @override
    def compare(self) -> str:
        return UP

    @property
    @override
    def wait(self) -> str:
        return self.reconcile


def chapter_at(environment: Environment) -> SeatChapter:
    """Return the chapter for the learner of an environment."""
    return SeatChapter(
        SECRET,
        environment.source,
        namespace=environment.namespace,
        system=environment.system,
    )


class Progress(StrEnum):
    """Whether a step is done."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Step:
    """One step of one learner.

    `stuck` is whether going on with the chapter is not enough to get the step done.
    """

    id: str
    progress: Progress
    found: str = ""
    fix: str = ""
    stuck: bool = False


@dataclass(frozen=True)
class Row:
    """One learner: every step, in the order of `STEPS`.

    `asked` is when the learner asked for help, in seconds since 1970; None if the learner does not
    ask now. `hints` is the number of hints so far.
    """

    seat: Seat
    steps: tuple[Step, ...]
    asked: float | None = None
    hints: int = 0

    @property
    def done(self) -> bool:
        """Whether the learner has finished the chapter."""
        return all(step.progress is Progress.YES for step in self.steps)

    @property
    def stuck(self) -> bool:
        """Whether the learner needs help."""
        return any(step.stuck for step in self.steps)

    @property
    def broken(self) -> bool:
        """Whether a step for which the lab is responsible is stuck."""
        return any(step.stuck and step.id in INFRASTRUCTURE for step in self.steps)

    @property
    def open(self) -> Step | None:
        """The step to look at: the first that is stuck, or else the first that is not done; None if
        all are done."""
        left = [step for step in self.steps if step.progress is not Progress.YES]
        return next((step for step in left if step.stuck), left[0] if left else None)

    @property
    def next(self) -> str:
        """A sentence about what is in the way or comes next; empty if all is done."""
        return "" if self.open is None else self.open.found

    @property
    def fix(self) -> str:
        """The command that helps, empty if there is none."""
        return "" if self.open is None else self.open.fix
