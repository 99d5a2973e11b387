"""Which incident covers which finding of the policy, or which exposure. Pure.

The records have been read before, so this module does not import what validates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopslab.policy.findings import Finding
from sopslab.policy.printing import printable

if TYPE_CHECKING:
    from sopslab.incidents.records import Exposure, Incident


@dataclass(frozen=True)
class Coverage:
    """The findings that no incident covers, and the open and closed incidents that cover the
    others."""

    uncovered: tuple[Finding, ...]
    open: tuple[Incident, ...]
    closed: tuple[Incident, ...]


def cover(findings: Sequence[Finding], incidents: Sequence[Incident], repository: str) -> Coverage:
    """Return which findings in a repository are covered by incidents, and by which.

    A finding is covered by an exposure with the same commit, path and rule. If both open and closed
    incidents have that exposure, a closed one counts: the finding has been dealt with.
    """
    uncovered: list[Finding] = []
    covering: dict[str, Incident] = {}
    for finding in findings:
        place = (repository, finding.commit, printable(finding.path), finding.rule)
        having = [
            incident for incident in incidents for one in incident.exposures if one.place == place
        ]
        if not having:
            uncovered.append(finding)
            continue
        chosen = next((one for one in having if one.closed is not None), having[0])
        covering[chosen.id] = chosen
    return Coverage(
        tuple(uncovered),
        tuple(one for one in covering.values() if one.closed is None),
        tuple(one for one in covering.values() if one.closed is not None),
    )


def not_covered(found: Sequence[Exposure], incidents: Sequence[Incident]) -> tuple[Exposure, ...]:
    """Return the exposures that none of the incidents has on record."""
    known = {one.place for incident in incidents for one in incident.exposures}
    return tuple(one for one in found if one.place not in known)
