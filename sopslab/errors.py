"""What can go wrong, said in sentences, and the exit codes that tell the cases apart."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `sopslab`; a run that failed in a step ends with that step's own code."""

    OK = 0
    FAILED = 1
    INPUT = 2
    LOCKED = 3
    PARTIAL = 4
    HOST = 10
    ARTIFACTS = 11
    CLUSTER = 12
    GIT = 13
    KEYS = 14
    FLUX = 15
    LEARNERS = 16
    CANARY = 17
    ACCESS = 18
    INVENTORY = 19
    VALUES = 20
    FAULTS = 21
    INTERRUPTED = 130
    TERMINATED = 143


class LabError(Exception):
    """Something the user can act on: a sentence with cause and next step, and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


class InputError(LabError):
    """Bad input: every problem at once, before anything was touched."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), Exit.INPUT)
