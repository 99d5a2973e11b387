"""Incidents, as far as no record has to be read: their causes, ids, and the paths of their
records."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

INCIDENTS_DIR = "docs/incidents"
"""The folder in the platform repository with a file for each incident."""

ID = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(-[a-z0-9]+)+")
ID_LENGTH = 80
SENTENCE_LENGTH = 2000
"""Characters that a sentence in a record has at most."""


class Cause(StrEnum):
    """What became known to people who must not know it. Each cause needs its own kind of
    rotation."""

    VALUE_EXPOSED = "value-exposed"
    LEARNER_KEY = "learner-key"
    CLUSTER_KEY = "cluster-key"
    INSTRUCTOR_KEY = "instructor-key"
    GIT_CREDENTIAL = "git-credential"


def check_id(value: str) -> str:
    """Return `value` if it may name an incident; raise ValueError if not."""
    matched = ID.fullmatch(value)
    if matched is None or len(value) > ID_LENGTH:
        raise ValueError(
            "a date and a few words are needed, such as 2026-11-25-leaked-api-key: a-z, 0-9 and"
            f" `-`, at most {ID_LENGTH} characters"
        )
    try:
        date.fromisoformat(matched[1])
    except ValueError:
        raise ValueError(f"there is no day {matched[1]}") from None
    return value


def is_id(value: str) -> bool:
    """Return whether `value` may name an incident."""
    try:
        check_id(value)
    except ValueError:
        return False
    return True


def incident_path(incident: str) -> str:
    """Return the path of an incident's record in the platform repository.

    + incident: the id of the incident
    """
    return f"{INCIDENTS_DIR}/{incident}.yaml"
