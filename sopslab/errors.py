"""What can go wrong, said in sentences, and the exit codes that tell the cases apart."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `sopslab`.

    A run that failed in a step ends with that step's code, and with 1 where the step has none.
    """

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
    FORMAT = 22
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.FAILED: "failed, for a reason without a code of its own",
    Exit.INPUT: "bad input: nothing was touched",
    Exit.LOCKED: "another run is at work on this lab",
    Exit.PARTIAL: "some of a class are not ready, and are named: all others are",
    Exit.HOST: "the machine is not fit for a lab, or could not be prepared",
    Exit.ARTIFACTS: "a tool or an image could not be had",
    Exit.CLUSTER: "the network or the cluster is not there, or is not fit for a lab",
    Exit.GIT: "the Git server or a repository on it is not as it should be",
    Exit.KEYS: "a key is missing, damaged, or not the cluster's",
    Exit.FLUX: "Flux or the platform repository is not as it should be",
    Exit.LEARNERS: "learners are not enrolled, or lack their repository",
    Exit.CANARY: "the canary did not arrive",
    Exit.ACCESS: "access could not be replaced",
    Exit.INVENTORY: "a rotation could not list, encrypt or prove what it is about",
    Exit.VALUES: "values are left that only a human can replace",
    Exit.FAULTS: "a fault could not be injected or undone",
    Exit.FORMAT: "the lab is of another version, and was not taken over",
    Exit.INTERRUPTED: "stopped by Ctrl-C: the next run goes on",
    Exit.TERMINATED: "stopped by SIGTERM: the next run goes on",
}
"""What each code says about a run, in a few words."""


STOPPED = frozenset({Exit.INTERRUPTED, Exit.TERMINATED})
"""The codes of what somebody has stopped."""


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
