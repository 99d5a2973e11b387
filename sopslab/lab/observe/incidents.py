"""The incidents in the platform repository, read from the lab's clone of it.

Only what is pushed counts, as with everything that the platform repository says.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sopslab.errors import InputError, LabError
from sopslab.lab.tools.programs import git_environment
from sopslab.model.incidents import INCIDENTS_DIR, is_id
from sopslab.policy.sources import Repository, SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.incidents.credentials import Credential
    from sopslab.incidents.records import Incident

_MAIN = "refs/remotes/origin/main"
_MOST_FILES, _MOST_BYTES = 1000, 8 * 1024 * 1024


def incident_ids(platform_dir: str) -> list[str]:
    """Return the ids of the incidents on record, in the order of their days; no record is read.

    Raises LabError where they cannot be listed.
    """
    try:
        git = _with_main(platform_dir)
        listed = git.run("ls-tree", "-z", "--name-only", _MAIN, f"{INCIDENTS_DIR}/") if git else b""
    except SourceError as error:
        raise _unreadable(platform_dir, error) from None
    paths = map(PurePosixPath, listed.decode("ascii", "replace").split("\0"))
    return sorted(path.stem for path in paths if path.suffix == ".yaml" and is_id(path.stem))


def read_incidents(settings: Settings) -> dict[str, Incident]:
    """Return the incidents on record by id, in the order of their days.

    Raises LabError where the records cannot be read, with every problem that is in them.
    """
    documents = _documents(settings.platform_dir, INCIDENTS_DIR)
    if not documents:
        return {}
    # Imported here, because what validates a record takes long to import.
    from sopslab.incidents.records import parse_incident

    incidents = []
    problems: list[str] = []
    for path, text in sorted(documents.items()):
        try:
            incidents.append(parse_incident(path, text))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return {incident.id: incident for incident in incidents}


def read_credentials(settings: Settings) -> tuple[Credential, ...]:
    """Return the credentials that an instructor has put on record.

    Raises LabError where the record cannot be read, with every problem that is in it.
    """
    from sopslab.incidents.credentials import CREDENTIALS_FILE, parse_credentials

    text = _documents(settings.platform_dir, CREDENTIALS_FILE).get(CREDENTIALS_FILE)
    return () if text is None else parse_credentials(CREDENTIALS_FILE, text)


def _documents(platform_dir: str, path: str) -> dict[str, str]:
    try:
        git = _with_main(platform_dir)
        blobs = list(git.tree(_MAIN, path, most=(_MOST_FILES, _MOST_BYTES))) if git else []
    except SourceError as error:
        raise _unreadable(platform_dir, error) from None
    return {os.fspath(blob.path): blob.data.decode("utf-8", "replace") for blob in blobs}


def _with_main(platform_dir: str) -> Repository | None:
    """Return the clone; None before the first push, when it has neither a main nor a record."""
    if not (Path(platform_dir) / ".git").exists():
        return None
    git = Repository(platform_dir, git_environment())
    return git if git.run("for-each-ref", "--format=%(objectname)", _MAIN).strip() else None


def _unreadable(platform_dir: str, error: SourceError) -> LabError:
    return LabError(
        f"the records in {platform_dir} cannot be read: {error}; `sopslab up` brings that clone"
        " back"
    )
