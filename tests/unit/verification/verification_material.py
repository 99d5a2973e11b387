"""What the tests of the verification share."""

from __future__ import annotations

from sopslab.checks.rules.table import Step, examine
from sopslab.checks.snapshot import Snapshot
from sopslab.checks.verification import judge
from sopslab.model.results import Verdict


def verdict(step: Step, seen: Snapshot) -> Verdict:
    """Return the verdict of one check alone."""
    return judge(step, seen, examine(seen))
