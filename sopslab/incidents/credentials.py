"""Which credentials there are, and when each is due to be replaced. Pure: today's date is an
argument.

The lab's own credentials are found anew each time (`sopslab.lab.incidents.derived`). Those that the
lab cannot know, such as the key of a provider, are listed in `docs/credentials.yaml` in the
platform repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Label, Line, Text
from sopslab.errors import InputError
from sopslab.incidents.documents import parse_document, render_document
from sopslab.incidents.records import Day, Exposure, Incident
from sopslab.model.incidents import Cause

CREDENTIALS_FILE = "docs/credentials.yaml"

_STRICT = ConfigDict(extra="forbid")
_WARNING = timedelta(days=14)


class Rotation(StrEnum):
    """How often a credential is replaced without a particular reason."""

    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"

    @property
    def period(self) -> timedelta:
        """How long such a credential is used."""
        return _PERIODS[self]


_PERIODS = {
    Rotation.MONTHLY: timedelta(days=30),
    Rotation.QUARTERLY: timedelta(days=90),
    Rotation.YEARLY: timedelta(days=365),
}


@dataclass(frozen=True)
class Place:
    """A place in a repository where values are: a file on main, and the names of keys in it."""

    __pydantic_config__ = _STRICT

    repository: Line
    path: Annotated[Text, Field(min_length=1, max_length=4096)]
    keys: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Credential:
    """A credential, without its value.

    `where` says in words where it is kept. `place` is given if that is in a repository.
    """

    __pydantic_config__ = _STRICT

    id: Line
    where: Line
    rotation: Rotation
    rotated: Day
    owner: Line
    place: Place | None = None

    @property
    def due(self) -> date:
        """The last day on which the credential is to be replaced."""
        return self.rotated + self.rotation.period


@dataclass(frozen=True)
class _Recorded(Credential):
    """A credential that an instructor lists. Its id has no colon: such ids are the lab's own."""

    id: Label


@dataclass(frozen=True)
class _Listed:
    __pydantic_config__ = _STRICT

    credentials: tuple[_Recorded, ...]


_FORM = TypeAdapter(_Listed)


class Urgency(StrEnum):
    """How urgently a credential is to be replaced, the most urgent first."""

    EXPOSED = "exposed"
    OVERDUE = "overdue"
    SOON = "soon"
    LATER = "later"


@dataclass(frozen=True)
class Entry:
    """A credential and its urgency on a day. `incident` is the open incident that exposes it, None
    without one."""

    credential: Credential
    due: date
    urgency: Urgency
    incident: str | None = None

    @property
    def is_due(self) -> bool:
        """Whether somebody has to replace the credential now or soon."""
        return self.urgency is not Urgency.LATER


def identity_id(key: str) -> str:
    """Return the id that the credential of an age identity has."""
    return f"identity:{key}"


def account_id(user: str) -> str:
    """Return the id that the credential of a user of the Git server has."""
    return f"git:{user}"


def parse_credentials(path: str, text: str) -> tuple[Credential, ...]:
    """Return the credentials that the file `path` lists.

    Raises InputError with every problem.
    """
    listed = parse_document(path, text, _FORM).credentials
    ids = [one.id for one in listed]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise InputError([f"{path}: credentials: {one} is there twice: keep one" for one in twice])
    return listed


def render_credentials(credentials: Sequence[Credential]) -> str:
    """Return the text of the file that lists credentials, in YAML."""
    listed = tuple(_Recorded(**vars(one)) for one in credentials)
    return render_document(_Listed(listed), _FORM)


def entries(
    credentials: Sequence[Credential], incidents: Sequence[Incident], today: date
) -> list[Entry]:
    """Return every credential with the day on which it is due, the most urgent first.

    A credential that an open incident exposes has been due since the incident was opened. An
    exposed value that belongs to none of the credentials becomes an entry of its own.
    """
    opened = sorted(
        (one for one in incidents if one.closed is None), key=lambda one: (one.opened, one.id)
    )
    found = [_entry(one, opened, today) for one in credentials]
    found += [
        Entry(stray, incident.opened, Urgency.EXPOSED, incident.id)
        for incident in opened
        for stray in _strays(incident, credentials)
    ]
    order = list(Urgency)
    return sorted(found, key=lambda one: (order.index(one.urgency), one.due, one.credential.id))


def _entry(credential: Credential, opened: Sequence[Incident], today: date) -> Entry:
    for incident in opened:
        if _exposes(incident, credential):
            return Entry(credential, incident.opened, Urgency.EXPOSED, incident.id)
    due = credential.due
    if due < today:
        return Entry(credential, due, Urgency.OVERDUE)
    return Entry(credential, due, Urgency.SOON if due - today <= _WARNING else Urgency.LATER)


def _exposes(incident: Incident, credential: Credential) -> bool:
    kind, _, owner = credential.id.partition(":")
    match incident.cause:
        case Cause.VALUE_EXPOSED:
            return any(_lies_at(one, credential.place) for one in incident.exposures)
        case Cause.LEARNER_KEY | Cause.CLUSTER_KEY:
            return kind == "identity" and owner != INSTRUCTOR and incident.concerns(owner)
        case Cause.INSTRUCTOR_KEY:
            return credential.id == identity_id(INSTRUCTOR)
        case Cause.GIT_CREDENTIAL:
            return kind == "git" and incident.concerns(owner)


def _lies_at(exposure: Exposure, place: Place | None) -> bool:
    if place is None or exposure.repository != place.repository:
        return False
    # The same name in another file counts, because it is the same credential more often than not.
    return bool(set(exposure.keys) & set(place.keys)) or exposure.path == place.path


def _strays(incident: Incident, credentials: Sequence[Credential]) -> Iterator[Credential]:
    if incident.cause is not Cause.VALUE_EXPOSED:
        return
    seen = set()
    for one in incident.exposures:
        if any(_lies_at(one, credential.place) for credential in credentials):
            continue
        named = ", ".join(one.keys) or "a value"
        where = f"{named} in {one.path} of {one.repository}"
        if where not in seen:
            seen.add(where)
            yield Credential(
                f"exposed:{one.repository}/{one.path}",
                where,
                Rotation.MONTHLY,
                incident.opened,
                ", ".join(incident.subjects) or "everybody",
            )
