"""What may leak, what an incident is called, and where its record lies: what is known without
reading any."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

INCIDENTS_DIR = "docs/incidents"
"""In the platform repository, a file for each incident."""

_ID = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})-[a-z0-9]+(-[a-z0-9]+)*")
_ID_LENGTH = 80


class Cause(StrEnum):
    """What became known to people who must not know it; each cause asks for a rotation of its
    own."""

    VALUE_EXPOSED = "value-exposed"
    LEARNER_KEY = "learner-key"
    CLUSTER_KEY = "cluster-key"
    INSTRUCTOR_KEY = "instructor-key"
    GIT_CREDENTIAL = "git-credential"


def check_id(value: str) -> str:
    """Return `value` if it may name an incident; raise ValueError if not."""
    matched = _ID.fullmatch(value)
    if matched is None or len(value) > _ID_LENGTH:
        raise ValueError(
            "a date and a few words are needed, such as 2026-11-25-leaked-api-key: a-z, 0-9 and"
            f" `-`, at most {_ID_LENGTH} characters"
        )
    try:
        date.fromisoformat(matched[1])
    except ValueError:
        raise ValueError(f"there is no day {matched[1]}") from None
    return value


def is_id(value: str) -> bool:
    """Whether `value` may name an incident."""
    try:
        check_id(value)
    except ValueError:
        return False
    return True


def incident_path(incident: str) -> str:
    """Return where the record of this id lies in the platform repository."""
    return f"{INCIDENTS_DIR}/{incident}.yaml"
