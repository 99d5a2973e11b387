"""What prevents an incident from being closed, and what stays exposed for ever. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sopslab.incidents.records import Exposure, Incident
from sopslab.model.incidents import Cause

# The phase with which every rotation ends.
PROVEN = "proven"


@dataclass(frozen=True)
class Use:
    """A place where an exposed value is still in use, and how to end that."""

    place: str
    key: str
    fix: str


def missing(incident: Incident, uses: Sequence[Use]) -> list[str]:
    """Return in sentences what still has to be done before an incident may be closed.

    + uses: the places where its exposed values are still in use
    """
    note = f"sopslab incident note {incident.id}"
    sentences = [f"{use.key} still has its exposed value in {use.place}: {use.fix}" for use in uses]
    if incident.exposures and not incident.upstream:
        sentences.append(
            "the record does not say where the value has to be revoked:"
            f' {note} --upstream "the key at its provider"'
        )
    if _is_rotating(incident):
        sentences.append(
            "the rotation is not proven yet:"
            f" sopslab rotate {incident.cause} --incident {incident.id}"
        )
    sentences += [
        f"{what} is not revoked yet: once it is, {note} --revoked {shlex.quote(what)}"
        for what in incident.unrevoked
    ]
    return sentences


def _is_rotating(incident: Incident) -> bool:
    # A key is always replaced by a rotation. A value may be replaced by hand, and is then compared.
    begun = incident.cause is not Cause.VALUE_EXPOSED or bool(incident.rotation)
    return begun and PROVEN not in incident.rotation


def remaining(exposures: Sequence[Exposure]) -> Iterator[str]:
    """Yield a sentence for each exposure that says what stays readable, whatever is done now."""
    for one in exposures:
        named = ", ".join(one.keys) or "a value"
        yield (
            f"{named}, as it was in {one.path}: in commit {one.commit[:12]} of {one.repository} and"
            " in every clone of it"
        )
