"""What keeps an incident from being closed, and what it leaves exposed for ever. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sopslab.incidents.records import Exposure, Incident
from sopslab.model.incidents import Cause

# The phase with which every rotation ends.
PROVEN = "proven"


@dataclass(frozen=True)
class Use:
    """A place where an exposed value is still in use, and what ends that."""

    place: str
    key: str
    fix: str


def missing(incident: Incident, uses: Sequence[Use]) -> list[str]:
    """Return in sentences what is still to be done before the incident may be closed.

    + uses: where its exposed values are still in use
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
        f'{what} is not revoked yet: once it is, {note} --revoked "{what}"'
        for what in incident.unrevoked
    ]
    return sentences


def _is_rotating(incident: Incident) -> bool:
    # A value may be replaced by hand, and then it is compared; a key is replaced by a rotation.
    begun = incident.cause is not Cause.VALUE_EXPOSED or bool(incident.rotation)
    return begun and PROVEN not in incident.rotation


def remaining(exposures: Sequence[Exposure]) -> Iterator[str]:
    """Yield a sentence for each exposure: what of it stays readable, whatever is done now."""
    for one in exposures:
        named = ", ".join(one.keys) or "a value"
        yield (
            f"{named}, as it was in {one.path}: in commit {one.commit[:12]} of {one.repository} and"
            " in every clone of it"
        )
