"""The staged leak of a drill: its names, and where the lab keeps its files."""

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

if TYPE_CHECKING:  # This module validates with pydantic, which the lab's own program does without.
    from sopslab.incidents.records import Incident

SECRET = "payment-api"
KEY = "API_KEY"
PATH = f"{SECRETS_DIR}/{SECRET}.yaml"

# The two places besides the history that have the value; an audit has to name both.
LOG = "ci-run-4711.log"
CLONE = "clone-of-kim"
STATE = "state.json"


def leak_dir(places: Places, learner: str) -> str:
    """Return the folder with the log, the clone and the text of a learner's drill."""
    return f"{places.lab_dir}/drills/leak/{learner}"


def kept_dir(places: Places) -> str:
    """Return the folder that keeps the commits that learners made on top of a drill, after it has
    ended."""
    return f"{places.lab_dir}/drills/kept"


def render_staged(staged: Staged) -> str:
    """Return the text of the lab's note about a staged leak."""
    return f"{json.dumps(encode(staged))}\n"


def _parse(text: str) -> Staged:
    """Return the staged leak that a note is about. Raises ValueError for any other text."""
    try:
        found = json.loads(text)
        staged: Staged = decode(Staged, {one.name: found[one.name] for one in fields(Staged)})
    except (LookupError, TypeError) as error:
        raise ValueError("it is not a note of a drill") from error
    return staged


def read_staged(places: Places, learner: str) -> Staged | None:
    """Return the leak that is staged for a learner, None if there is none. Raises LabError if the
    note cannot be read."""
    path = Path(leak_dir(places, learner), STATE)
    try:
        return _parse(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise LabError(f"{path} cannot be read: `sopslab drill end` ends this drill") from None


def names_leak(incident: Incident, repository: str, leak: str) -> bool:
    """Return whether an incident has the commit of a staged leak among its exposures.

    + leak: the commit with the value in plain text
    """
    return any(one.repository == repository and one.commit == leak for one in incident.exposures)


def covering(repository: str, leak: str, incidents: Iterable[Incident]) -> Incident | None:
    """Return the incident that has a staged leak among its exposures, None without one. A closed
    incident takes precedence over an open one."""
    having = [one for one in incidents if names_leak(one, repository, leak)]
    return next((one for one in having if one.closed is not None), having[0] if having else None)
