"""What `sopslab doctor` says: every cause, in the order in which to repair the causes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopslab.checks.rules.results import Cause, cause
from sopslab.checks.rules.table import examine
from sopslab.checks.snapshot import NO_MAIN, NO_REPOSITORY, UNASKED, Snapshot

# For each cause, the reasons for not seeing something that it already explains.
_SAID_BY = {
    "cluster-down": {UNASKED},
    "repository-missing": {NO_REPOSITORY},
    "empty-repository": {NO_MAIN},
    "branch-deleted": {NO_MAIN},
}
# What the end of an access causes, and what is not to be mended before there is a later time.
_OF_AN_END = {
    "kubeconfig-ended", "kubeconfig-missing", "password-missing", "suspended-kustomization",
    "suspended-source",
}  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """All causes, in the order in which to repair them; `undecided` says what was not seen."""

    causes: Sequence[Cause] = ()
    undecided: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """1 if something is wrong, 2 if nothing was found but something could not be decided, or
        else 0."""
        if self.causes:
            return 1
        return 2 if self.undecided else 0


def of_ended(diagnosis: Diagnosis, learner: str, until: str) -> Diagnosis:
    """Return the diagnosis of a learner whose access has ended: that explains what is suspended and
    what is missing of the access.

    + until: when the access has ended
    """
    over = cause(
        "access-ended",
        "The learner's access has ended, so Flux delivers nothing.",
        f"the access of {learner}",
        f"has ended at {until}",
        "give a later time in the roster, and run `sopslab up` with it",
    )
    others = (one for one in diagnosis.causes if one.id not in _OF_AN_END)
    return Diagnosis((over, *others), diagnosis.undecided)


def diagnose(seen: Snapshot) -> Diagnosis:
    """Return all causes, except those that follow from another cause."""
    examined = examine(seen)
    causes = tuple(one for _, one in examined.roots)
    said = {reason for one in causes for reason in _SAID_BY.get(one.id, ())}
    reasons = dict.fromkeys(reason.found for _, reason in examined.undecided)
    return Diagnosis(causes, tuple(f"{reason}." for reason in reasons if reason not in said))
