"""What a rotation has to remember, because it cannot be found out later. Pure.

The record holds public keys, commits and names, and no secret. Each run looks at everything else
anew, and so does not depend on what a killed run has written about itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter

from sopslab.config.environment import Environment
from sopslab.config.places import INSTRUCTOR
from sopslab.incidents.closing import missing
from sopslab.incidents.documents import parse_document, render_document
from sopslab.incidents.records import Incident, Upstream
from sopslab.incidents.rotation.phases import PHASES, Phase
from sopslab.model.incidents import Cause
from sopslab.policy.printing import in_one_line

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass(frozen=True)
class Rotation:
    """One rotation, which belongs to one incident.

    + incident: the incident's id
    + subjects: the learners whose environments it is about
    + exposed: the values that leaked, as `NAME` or `NAME/KEY`; none if a key leaked
    + heads: the commit of main of each learner's repository when the rotation began
    + retiring: the public key of each identity of the store that is replaced
    + pending: for each learner the values that only a human can make, as `NAME/KEY`
    + remains: for each learner, in sentences, what stays exposed for ever
    + proven: the learners for whom the rotation is proven
    + phases: the phases that are over for all learners, each with the time of its end
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    incident: str
    cause: Cause
    opened: date
    subjects: tuple[str, ...]
    exposed: tuple[str, ...] = ()
    heads: Mapping[str, str] = field(default_factory=dict)
    retiring: Mapping[str, str] = field(default_factory=dict)
    pending: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proven: tuple[str, ...] = ()
    phases: Mapping[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether the rotation is proven for all learners, and no value is left for a human to
        make."""
        return set(self.subjects) <= set(self.proven) and not any(self.pending.values())

    def ended(self, phase: Phase, moment: str) -> Rotation:
        """Return the rotation with a phase recorded as over for everybody.

        + moment: the time of its end
        """
        return replace(self, phases={**self.phases, str(phase): moment})

    def with_proof(self, learners: Iterable[str]) -> Rotation:
        """Return the rotation with more learners for whom it is proven."""
        proven = {*self.proven, *learners}
        return replace(self, proven=tuple(one for one in self.subjects if one in proven))


@cache
def _form() -> TypeAdapter[Rotation]:
    # Built on first use: every run knows this module, and few read or write a file of its kind.
    return TypeAdapter(Rotation)


def begin_rotation(
    settings: Settings, environments: Iterable[Environment], exposed: Iterable[str]
) -> Rotation:
    """Return the rotation that the settings ask for, before anything is done.

    + environments: the environments that it is about
    + exposed: the values that leaked, as `NAME` or `NAME/KEY`; none if a key leaked
    """
    return Rotation(
        settings.incident or "",
        Cause(settings.cause or ""),
        datetime.now(UTC).date(),
        tuple(one.id for one in environments),
        tuple(exposed),
    )


def key_of(rotation: Rotation, environment: Environment) -> str:
    """Return the name of the identity that a rotation is about in an environment."""
    return INSTRUCTOR if rotation.cause is Cause.INSTRUCTOR_KEY else environment.key


def parse_rotation(path: str, text: str) -> Rotation:
    """Return the rotation in the `text` of the file `path`.

    Raises InputError with every problem.
    """
    return parse_document(path, text, _form())


def render_rotation(rotation: Rotation) -> str:
    """Return the rotation as YAML; the same rotation gives the same text."""
    return render_document(rotation, _form())


def incident_of(rotation: Rotation, recorded: Incident | None, today: date) -> Incident:
    """Return the record that an incident is to have now.

    What others have written into the record stays. The incident is closed once the rotation is over
    and nothing is left to do, neither for the lab nor for a human.

    + recorded: the present record, None without one
    """
    incident = recorded or Incident(
        rotation.incident, rotation.cause, rotation.subjects, rotation.opened
    )
    order = [str(phase) for phase in PHASES[rotation.cause]]
    upstream = _upstream(incident.upstream, rotation, today)
    told = replace(
        incident,
        upstream=upstream,
        rotation={name: rotation.phases[name] for name in order if name in rotation.phases},
        remains=tuple(
            dict.fromkeys(
                (*incident.remains, *(one for all in rotation.remains.values() for one in all))
            )
        ),
    )
    if told.closed is None and rotation.over and not missing(told, ()):
        return replace(told, closed=today)
    return told


def _upstream(known: Iterable[Upstream], rotation: Rotation, today: date) -> tuple[Upstream, ...]:
    """Return what a human has to revoke, including the values that only a human can replace. Those
    that are no longer pending are marked as revoked today."""
    pending = [
        pending_sentence(learner, value)
        for learner, values in rotation.pending.items()
        for value in values
    ]
    kept = [
        replace(one, revoked=today)
        if one.what.startswith(_PENDING) and one.what not in pending and one.revoked is None
        else one
        for one in map(_without_command, known)
    ]
    told = {one.what for one in kept}
    return (*kept, *(Upstream(what) for what in pending if what not in told))


_PENDING = "another value for "
# With this, and the value once more, such a sentence ended formerly.
_FORMER_END = ": `sopslab rotate … --value "


def pending_sentence(learner: str, value: str) -> str:
    """Return what has to be done about a value that only a human can make."""
    return in_one_line(f"{_PENDING}{value} of {learner}")


def _without_command(one: Upstream) -> Upstream:
    if not one.what.startswith(_PENDING):
        return one
    return replace(one, what=one.what.partition(_FORMER_END)[0])
