"""What `sopslab doctor` says: every cause, in the order in which to mend them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopslab.checks.rules.results import Cause
from sopslab.checks.rules.table import examine
from sopslab.checks.snapshot import NO_MAIN, NO_REPOSITORY, UNASKED, Snapshot

# Why something was not seen, and the cause that says so already.
_SAID_BY = {
    "cluster-down": {UNASKED},
    "repository-missing": {NO_REPOSITORY},
    "empty-repository": {NO_MAIN},
    "branch-deleted": {NO_MAIN},
}


@dataclass(frozen=True)
class Diagnosis:
    """All causes, the first to be mended first; `undecided` says what could not be looked at."""

    causes: Sequence[Cause] = ()
    undecided: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """1 if anything is wrong, else 2 if that could not be decided, else 0."""
        if self.causes:
            return 1
        return 2 if self.undecided else 0


def diagnose(seen: Snapshot) -> Diagnosis:
    """Return what is wrong; what follows from another cause is left out, and nothing else."""
    examined = examine(seen)
    causes = tuple(cause for _, cause in examined.roots)
    said = {reason for one in causes for reason in _SAID_BY.get(one.id, ())}
    reasons = dict.fromkeys(reason.found for _, reason in examined.undecided)
    return Diagnosis(causes, tuple(f"{reason}." for reason in reasons if reason not in said))
