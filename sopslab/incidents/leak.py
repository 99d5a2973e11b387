"""The leak that is staged: its names, and where the lab keeps what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.layout import SECRETS_DIR
from sopslab.model.drills import Staged
from sopslab.model.wire import decode, encode

if TYPE_CHECKING:  # It validates with a library that the lab's own program does without.
    from sopslab.incidents.records import Incident

SECRET = "payment-api"
KEY = "API_KEY"
PATH = f"{SECRETS_DIR}/{SECRET}.yaml"

# Where the value lies besides the history; an audit has to name both.
LOG = "ci-run-4711.log"
CLONE = "clone-of-kim"
STATE = "state.json"


def leak_dir(places: Places, learner: str) -> str:
    """Return where the log, the clone and the text of a learner's drill lie."""
    return f"{places.lab_dir}/drills/leak/{learner}"


def kept_dir(places: Places) -> str:
    """Return where commits are kept that were made on top of a drill that has ended."""
    return f"{places.lab_dir}/drills/kept"


def render_staged(staged: Staged) -> str:
    """Return the lab's note of what is staged."""
    return f"{json.dumps(encode(staged))}\n"


def parse_staged(text: str | bytes) -> Staged:
    """Return what a note says is staged. Raises ValueError for anything else."""
    try:
        found = json.loads(text)
        staged: Staged = decode(Staged, {one.name: found[one.name] for one in fields(Staged)})
    except (LookupError, TypeError) as error:
        raise ValueError("it is not a note of a drill") from error
    return staged


def read_staged(places: Places, learner: str) -> Staged | None:
    """Return the leak that is staged for a learner, None if there is none. Raises LabError."""
    path = Path(leak_dir(places, learner), STATE)
    try:
        return parse_staged(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise LabError(f"{path} cannot be read: `sopslab drill end` ends this drill") from None


def names_leak(incident: Incident, repository: str, leak: str) -> bool:
    """Return whether an incident has the plaintext commit of a drill among its exposures."""
    return any(one.repository == repository and one.commit == leak for one in incident.exposures)


def covering(repository: str, leak: str, incidents: Iterable[Incident]) -> Incident | None:
    """Return the incident that has a leak on record, a closed one before one that is open."""
    having = [one for one in incidents if names_leak(one, repository, leak)]
    return next((one for one in having if one.closed is not None), having[0] if having else None)
