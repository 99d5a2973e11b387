"""The records in the platform repository, read from the lab's clone of it.

What is pushed counts, as with everything that the platform repository says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.errors import InputError, LabError
from sopslab.incidents.credentials import CREDENTIALS_FILE, Credential, parse_credentials
from sopslab.incidents.records import INCIDENTS_DIR, Incident, parse_incident
from sopslab.lab.tools.programs import git_environment
from sopslab.policy.sources import Repository, SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_MAIN = "refs/remotes/origin/main"
_MOST_FILES, _MOST_BYTES = 1000, 8 * 1024 * 1024


def read_incidents(settings: Settings) -> dict[str, Incident]:
    """Return the incidents on record by id, in the order of their days.

    Raises LabError where they cannot be read, with every problem that is in them.
    """
    incidents = []
    problems: list[str] = []
    for path, text in sorted(_documents(settings, INCIDENTS_DIR).items()):
        try:
            incidents.append(parse_incident(path, text))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return {incident.id: incident for incident in incidents}


def read_credentials(settings: Settings) -> tuple[Credential, ...]:
    """Return the credentials that an instructor has put on record.

    Raises LabError where they cannot be read, with every problem that is in them.
    """
    text = _documents(settings, CREDENTIALS_FILE).get(CREDENTIALS_FILE)
    return () if text is None else parse_credentials(CREDENTIALS_FILE, text)


def _documents(settings: Settings, path: str) -> dict[str, str]:
    if not (Path(settings.platform_dir) / ".git").exists():
        return {}
    git = Repository(settings.platform_dir, git_environment())
    try:
        # Before the first push there is no main, and no record either.
        if not git.run("for-each-ref", "--format=%(objectname)", _MAIN).strip():
            return {}
        blobs = list(git.tree(_MAIN, path, most=(_MOST_FILES, _MOST_BYTES)))
    except SourceError as error:
        raise LabError(
            f"the records in {settings.platform_dir} cannot be read: {error}; `sopslab up` brings"
            " that clone back"
        ) from None
    return {os.fspath(blob.path): blob.data.decode("utf-8", "replace") for blob in blobs}
