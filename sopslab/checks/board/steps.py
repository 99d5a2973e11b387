"""The steps of the chapter as they are seen at a seat, and what a row of the board says."""

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
"""In the order in which they depend on one another, all judged by the Git server's main.

Those that `sopslab verify` has, too, mean the same there; what only the learner's machine can tell
is left out. `access` is what the lab gives a learner to begin with.
"""

INFRASTRUCTURE = ("access", "key", "source")
"""The steps that the lab owes the learner."""


@dataclass(frozen=True)
class SeatChapter(Chapter):
    """The chapter at a seat, where the key and Flux's objects are the instructor's to mend."""

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
    """Return the chapter as the learner of an environment works on it."""
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

    `stuck` marks one that the learner will not get over by going on with the chapter.
    """

    id: str
    progress: Progress
    found: str = ""
    fix: str = ""
    stuck: bool = False


@dataclass(frozen=True)
class Row:
    """One learner: every step, in the order of `STEPS`.

    `asked` is the time, in seconds since 1970, at which the learner asked for help; None if the
    learner does not ask. `hints` is how many hints there were so far.
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
        """Whether something is wrong that the lab owes the learner."""
        return any(step.stuck and step.id in INFRASTRUCTURE for step in self.steps)

    @property
    def open(self) -> Step | None:
        """The step to look at: the first that is stuck, else the first that is not done."""
        left = [step for step in self.steps if step.progress is not Progress.YES]
        return next((step for step in left if step.stuck), left[0] if left else None)

    @property
    def next(self) -> str:
        """What is in the way or comes next, in a sentence; empty when all is done."""
        return "" if self.open is None else self.open.found

    @property
    def fix(self) -> str:
        """The command that helps, empty without one."""
        return "" if self.open is None else self.open.fix
