"""The credentials that the lab itself knows: identities, Git passwords, the learners' Secrets.

Only names and times are read, and what sops leaves readable in an encrypted file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.incidents.credentials import Credential, Place, Rotation, account_id, identity_id
from sopslab.lab.observe.copies import bring
from sopslab.lab.observe.keys import key_file
from sopslab.lab.observe.secret_files import read_manifest
from sopslab.lab.tools.git import MAIN
from sopslab.lab.tools.programs import git_environment
from sopslab.layout import CANARY_PATH, SECRETS
from sopslab.policy import documents
from sopslab.policy.findings import Undecidable
from sopslab.policy.sources import Blob, Repository, SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

MOST = (1000, 8 * 1024 * 1024)
"""The most files and bytes of a learner's secrets that a look reads."""

_LAB = "instructor"


def derived_credentials(
    settings: Settings, environments: Sequence[Environment]
) -> tuple[Credential, ...]:
    """Return the credentials that the lab knows, including those of the given environments."""
    learners = [one.id for one in environments]
    found = [
        *_identities(settings, [INSTRUCTOR, *(one.key for one in environments)]),
        *_accounts(settings, [INSTRUCTOR, FLUX, *learners]),
    ]
    bring(settings, environments)
    for environment in environments:
        found += _secrets(settings, environment)
    return tuple(found)


def _identities(settings: Settings, keys: Sequence[str]) -> Iterator[Credential]:
    for key in keys:
        made = _day(key_file(settings, key))
        if made is not None:
            where = f"age identity {key}, in the lab's keys and the cluster's sops-age"
            if key == INSTRUCTOR:
                where = f"age identity {key}, in the lab's keys"
                where += "" if settings.instructor_recipient is None else ", for Git's history only"
            yield Credential(identity_id(key), where, Rotation.YEARLY, made, _LAB)


def _accounts(settings: Settings, users: Sequence[str]) -> Iterator[Credential]:
    for user in users:
        made = _day(Path(settings.account_dir(user), "password"))
        if made is not None:
            where = f"Git password of {user}"
            yield Credential(account_id(user), where, Rotation.QUARTERLY, made, _LAB)


def _day(path: Path) -> date | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, UTC).date()
    except OSError:
        return None


def _secrets(settings: Settings, environment: Environment) -> Iterator[Credential]:
    folder = bare_repository(settings, environment)
    git = Repository(folder, git_environment())
    try:
        blobs = list(git.tree(MAIN, SECRETS, most=MOST))
    except SourceError:
        # Without a main, or without a repository, the learner has no Secret.
        return
    for blob in blobs:
        if blob.path != CANARY_PATH:
            yield from _secret(environment, blob)


def _secret(environment: Environment, blob: Blob) -> Iterator[Credential]:
    try:
        parsed = documents.parse(blob.data.decode("utf-8-sig", "replace"))
    except Undecidable:
        return
    manifest = read_manifest(blob.data)
    encrypted = [_lastmodified(one) for one in parsed.documents]
    if manifest is None or not any(encrypted):
        return
    yield Credential(
        f"secret:{environment.id}/{manifest.name}",
        f"{', '.join(sorted(manifest.keys))} in {blob.path}",
        Rotation.QUARTERLY,
        max(day for day in encrypted if day is not None),
        environment.name,
        Place(environment.repository, blob.path, tuple(sorted(manifest.keys))),
    )


def _lastmodified(document: documents.Node) -> date | None:
    text = documents.text_of(documents.get(document, "sops", "lastmodified"))
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None
