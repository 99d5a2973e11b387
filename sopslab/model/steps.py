"""The steps of the deploys: the title of each, and the exit code of a run that fails in it."""

from __future__ import annotations

from enum import StrEnum

from sopslab.errors import Exit


class Step(StrEnum):
    """A step. Its value is the title, which pyinfra puts in front of the step's operations; `code`
    is the exit code of a run that fails in it."""

    code: Exit

    HOST = "Host", Exit.HOST
    # No other step has this code: whoever reads it may count on a lab that is as it was.
    VERSION = "Version", Exit.FORMAT
    FORMAT = "Format", Exit.HOST
    ARTIFACTS = "Artifacts", Exit.ARTIFACTS
    CLUSTER = "Cluster", Exit.CLUSTER
    NETWORK = "Network", Exit.CLUSTER
    GIT = "Git", Exit.GIT
    KEYS = "Keys", Exit.KEYS
    FLUX = "Flux", Exit.FLUX
    PLATFORM = "Platform", Exit.FLUX
    LEARNERS = "Learners", Exit.LEARNERS
    ROSTER = "Roster", Exit.LEARNERS
    CANARY = "Canary", Exit.CANARY
    ACCESS = "Access", Exit.ACCESS
    CLASS = "Class", Exit.PARTIAL
    SEATS = "Seats", Exit.PARTIAL
    INVENTORY = "Inventory", Exit.INVENTORY
    FILES = "Files", Exit.INVENTORY
    PROOF = "Proof", Exit.INVENTORY
    VALUES = "Values", Exit.VALUES
    FAULTS = "Faults", Exit.FAULTS
    PURGE = "Purge", Exit.FAILED
    # Operations of pyinfra outside all steps.
    OTHER = "", Exit.FAILED

    def __new__(cls, title: str, code: Exit) -> Step:
        step = str.__new__(cls, title)
        step._value_ = title
        step.code = code
        return step
