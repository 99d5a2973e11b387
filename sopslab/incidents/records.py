"""The record of an incident: its cause, what leaked where, what was rotated, what remains. Pure.

It is in the platform repository as `docs/incidents/<id>.yaml`. It names places and keys, but never
a value: its readers learn what to replace, and nothing to log in with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from sopslab.config.settings import Label, Line, Text
from sopslab.errors import InputError
from sopslab.incidents.documents import parse_document, render_document
from sopslab.model.incidents import SENTENCE_LENGTH, Cause, check_id, incident_path
from sopslab.policy.printing import in_one_line

_STRICT = ConfigDict(extra="forbid")


def _commit(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", value):
        raise ValueError("the whole id of a commit is needed, 40 hexadecimal digits")
    return value


def _timestamp(value: str) -> str:
    try:
        zone = datetime.fromisoformat(value).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError("a time with its zone is needed, such as '2026-11-25T21:00:00+00:00'")
    return value


def _sentence(value: str) -> str:
    if not value.strip():
        raise ValueError("text is needed")
    # Records from before may hold what a learner wrote as it was, and have to stay readable.
    return in_one_line(value)


Id = Annotated[Text, AfterValidator(check_id)]
Day = Annotated[date, Field(strict=True)]
Sentence = Annotated[Text, Field(max_length=SENTENCE_LENGTH), AfterValidator(_sentence)]
_Path = Annotated[Text, Field(min_length=1, max_length=4096)]


@dataclass(frozen=True, order=True)
class Exposure:
    """One place in a history where the policy has found values in plain text.

    `keys` are the names of the values that leaked there, as far as they are known.
    """

    __pydantic_config__ = _STRICT

    repository: _Path
    commit: Annotated[Text, AfterValidator(_commit)]
    path: _Path
    keys: tuple[Line, ...]
    rule: Line

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The fields that identify the exposure. It covers a finding with the same ones."""
        return self.repository, self.commit, self.path, self.rule


@dataclass(frozen=True)
class Upstream:
    """What a human must revoke because the lab cannot, and on which day it was revoked."""

    __pydantic_config__ = _STRICT

    what: Sentence
    revoked: Day | None = None


@dataclass(frozen=True)
class Incident:
    """One incident.

    `subjects` are ids of learners; if there are none, the incident is about everybody. `rotation`
    has the phases that are done, each with the time of its end. `remains` are sentences about what
    stays exposed for ever.
    """

    __pydantic_config__ = _STRICT

    id: Id
    cause: Cause
    subjects: tuple[Label, ...]
    opened: Day
    closed: Day | None = None
    exposures: tuple[Exposure, ...] = ()
    upstream: tuple[Upstream, ...] = ()
    rotation: Mapping[Line, Annotated[Text, AfterValidator(_timestamp)]] = field(
        default_factory=dict
    )
    remains: tuple[Sentence, ...] = ()

    @property
    def unrevoked(self) -> tuple[str, ...]:
        """What a human still has to revoke."""
        return tuple(one.what for one in self.upstream if one.revoked is None)

    def concerns(self, learner: str) -> bool:
        """Return whether the incident is about the environment of this learner."""
        return not self.subjects or learner in self.subjects


@cache
def _form() -> TypeAdapter[Incident]:
    # Built on first use: every run knows this module, and few read or write a file of its kind.
    return TypeAdapter(Incident)


def parse_incident(path: str, text: str) -> Incident:
    """Return the incident in the `text` of the file `path`, whose name has to be the incident's id.

    Raises InputError with every problem.
    """
    incident = parse_document(path, text, _form())
    problems = list(_contradictions(incident, PurePosixPath(path).name))
    if problems:
        raise InputError([f"{path}: {problem}" for problem in problems])
    return incident


def _contradictions(incident: Incident, filename: str) -> Iterator[str]:
    if filename != f"{incident.id}.yaml":
        yield f"id: {incident.id} belongs in {incident.id}.yaml"
    if len(set(incident.exposures)) < len(incident.exposures):
        yield "exposures: one is there twice: keep one"
    if incident.closed is None:
        return
    if incident.closed < incident.opened:
        yield f"closed: {incident.closed} is before it was opened, {incident.opened}"
    for what in incident.unrevoked:
        yield f"closed: {what} is not yet revoked"


def render_incident(incident: Incident) -> str:
    """Return the record as YAML; the same incident gives the same text."""
    return render_document(incident, _form())


def incident_file(incident: Incident) -> tuple[str, str]:
    """Return the path and the text of a record that can be put into the platform repository.

    Raises InputError if it would not be read there again as it is.
    """
    path, text = incident_path(incident.id), render_incident(incident)
    if parse_incident(path, text) != incident:
        raise InputError([f"{path}: sentences of printable characters are needed"])
    return path, text


def as_plain(incident: Incident) -> dict[str, object]:
    """Return the record in a form that JSON can represent."""
    plain: dict[str, object] = _form().dump_python(incident, mode="json")
    return plain
