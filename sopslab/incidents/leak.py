"""The leak that is staged: its names, and where the lab keeps what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.incidents.records import Incident
from sopslab.layout import ENVIRONMENT

SECRET = "payment-api"
KEY = "API_KEY"
PATH = f"flux/secrets/{ENVIRONMENT}/{SECRET}.yaml"

# Where the value lies besides the history; an audit has to name both.
LOG = "ci-run-4711.log"
CLONE = "clone-of-kim"
STATE = "state.json"


@dataclass(frozen=True)
class Staged:
    """A leak that is staged: commits, and the SHA-256 of the value, which nothing else tells.

    `before` is where main was, `leak` has the value in plain text, `fixed` is what main became.
    """

    before: str
    leak: str
    fixed: str
    digest: str


_STATE = TypeAdapter(Staged)


def leak_dir(settings: Settings, learner: str) -> str:
    """Return where the log, the clone and the text of a learner's drill lie."""
    return f"{settings.lab_dir}/drills/leak/{learner}"


def kept_dir(settings: Settings) -> str:
    """Return where commits are kept that were made on top of a drill that has ended."""
    return f"{settings.lab_dir}/drills/kept"


def parse_staged(text: str) -> Staged:
    """Return what is staged. Raises ValueError for what does not say so."""
    return _STATE.validate_python(json.loads(text))


def read_staged(settings: Settings, learner: str) -> Staged | None:
    """Return the leak that is staged for a learner, None if there is none. Raises LabError."""
    path = Path(leak_dir(settings, learner), STATE)
    try:
        return parse_staged(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError):
        raise LabError(f"{path} cannot be read: `sopslab drill end` ends this drill") from None


def names_leak(incident: Incident, repository: str, leak: str) -> bool:
    """Return whether an incident has the plaintext commit of a drill among its exposures."""
    return any(one.repository == repository and one.commit == leak for one in incident.exposures)


def covering(repository: str, leak: str, incidents: Iterable[Incident]) -> Incident | None:
    """Return the incident that has a leak on record, a closed one before one that is open."""
    having = [one for one in incidents if names_leak(one, repository, leak)]
    return next((one for one in having if one.closed is not None), having[0] if having else None)
