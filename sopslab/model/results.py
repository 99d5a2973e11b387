"""The result of a check: a status, one sentence about what was found, and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_RUN = "not-run"
    UNKNOWN = "unknown"


class Undecided(Exception):
    """Something could not be looked at, so nothing can be said about it. `found` is a sentence that
    says why."""

    def __init__(self, found: str, next_step: str = "") -> None:
        super().__init__(found)
        self.found = found
        self.next_step = next_step


@dataclass(frozen=True)
class Verdict:
    """A judgement.

    After a `blocking` failure, nothing that depends on this check can be judged. A `transient`
    failure ends by itself if nothing else is wrong.
    """

    status: Status
    found: str
    next_step: str = ""
    blocking: bool = True
    transient: bool = False


def passed(found: str) -> Verdict:
    """Return the verdict that all is well."""
    return Verdict(Status.OK, found)


def failed(found: str, next_step: str, *, blocking: bool = True) -> Verdict:
    """Return the verdict that something is wrong, and what to do next."""
    return Verdict(Status.FAILED, found, next_step, blocking)


def awaited(found: str, next_step: str) -> Verdict:
    """Return the verdict that something has not happened yet, but will. `next_step` is the command
    that waits for it."""
    return Verdict(Status.FAILED, found, next_step, transient=True)


def undecided(found: str, next_step: str = "") -> Verdict:
    """Return the verdict that nothing can be said."""
    return Verdict(Status.UNKNOWN, found, next_step)


@dataclass(frozen=True)
class Result:
    """What one check found, and how long it took."""

    id: str
    status: Status
    found: str
    next_step: str
    seconds: float


def exit_code(results: Iterable[Result]) -> int:
    """Return 2 if anything could not be decided, else 1 if anything failed, else 0."""
    statuses = {result.status for result in results}
    if Status.UNKNOWN in statuses:
        return 2
    return 1 if Status.FAILED in statuses else 0
