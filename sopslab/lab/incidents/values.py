"""Where exposed values are still in use, on main and in the cluster. Values are compared by hash.

What sops decrypts and what the cluster answers exists in this process only, and becomes SHA-256 at
once.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.checks.snapshot import LiveSecret, known
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR
from sopslab.course.chapter import UP
from sopslab.incidents.closing import Use
from sopslab.incidents.exposures import named_values
from sopslab.incidents.records import Exposure
from sopslab.lab.incidents.derived import MOST
from sopslab.lab.observe.checkpoints import unfetched
from sopslab.lab.observe.cluster import secrets_in
from sopslab.lab.observe.keys import key_file
from sopslab.lab.observe.secret_files import digest_manifest
from sopslab.lab.tools import sops
from sopslab.lab.tools.git import MAIN
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import git_environment
from sopslab.layout import ENVIRONMENT, SECRETS
from sopslab.model.results import Undecided
from sopslab.policy.sources import Repository, SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_ENCRYPTED = b"ENC[AES256_GCM,"


@dataclass(frozen=True)
class Evidence:
    """Where exposed values are in use, and the exposures whose value nobody can compare."""

    uses: tuple[Use, ...]
    unknown: tuple[Exposure, ...]


def gather(
    settings: Settings, environments: Sequence[Environment], exposures: Sequence[Exposure]
) -> Evidence:
    """Return where exposed values are in use, in the environments that they come from.

    Raises Undecided if something cannot be looked at.
    """
    uses: list[Use] = []
    repositories = {environment.repository for environment in environments}
    # What belonged to an environment that is gone cannot be looked at any more.
    unknown = [one for one in exposures if one.repository not in repositories]
    for environment in environments:
        exposed: set[str] = set()
        own = [one for one in exposures if one.repository == environment.repository]
        if own:
            _fetch(settings, environment)
        for one in own:
            found = exposed_digests(settings, environment, one)
            exposed |= found
            if not found:
                unknown.append(one)
        if exposed:
            files = _secrets_of_main(settings, environment)
            uses += uses_on_main(settings, environment, files, exposed)
            live = secrets_in(Kubectl(settings), environment.namespace)
            uses += uses_in_cluster(environment, live, exposed)
    return Evidence(tuple(uses), tuple(unknown))


def exposed_digests(
    settings: Settings, environment: Environment, exposure: Exposure
) -> frozenset[str]:
    """Return the hashes of the values that an exposure names, none if they cannot be found."""
    git = Repository(bare_repository(settings, environment), git_environment())
    try:
        data = git.read(exposure.commit, exposure.path)
    except (SourceError, OSError):
        data = None
    finally:
        git.close()
    named = [] if data is None else named_values(data)
    return frozenset(
        digest for value in named if value.key in exposure.keys for digest in value.digests
    )


def uses_on_main(
    settings: Settings, environment: Environment, files: Mapping[str, bytes], exposed: Set[str]
) -> Iterator[Use]:
    """Yield where an encrypted file on main has one of the exposed values."""
    for path, data in files.items():
        for key, digest in _opened(settings, environment, path, data).items():
            if digest in exposed:
                yield Use(
                    f"{path} on main of {environment.repository}", key, replace_value(path, key)
                )


def secrets_on_main(settings: Settings, environment: Environment) -> dict[str, bytes]:
    """Return the encrypted files on main, by path. Raises Undecided where main cannot be read."""
    _fetch(settings, environment)
    return _secrets_of_main(settings, environment)


def _fetch(settings: Settings, environment: Environment) -> None:
    if problem := unfetched(settings.for_machine, environment):
        raise Undecided(f"main of {environment.repository} cannot be read: {problem}", UP)


def _secrets_of_main(settings: Settings, environment: Environment) -> dict[str, bytes]:
    git = Repository(bare_repository(settings, environment), git_environment())
    try:
        blobs = list(git.tree(MAIN, SECRETS, most=MOST))
    except SourceError as error:
        raise Undecided(f"main of {environment.repository} cannot be read: {error}", UP) from None
    return {blob.path: blob.data for blob in blobs if _ENCRYPTED in blob.data}


def replace_value(path: str, key: str) -> str:
    """Return the command with which a learner replaces one value of an encrypted file. The learner
    has chosen the names of both."""
    name, key = shlex.quote(Path(path).stem), shlex.quote(key)
    return f"scripts/sops-encrypt-secret.sh {ENVIRONMENT} {name} --rotate-value {key}, then push"


def _opened(
    settings: Settings, environment: Environment, path: str, data: bytes
) -> Mapping[str, str]:
    """Return the hash of each value of an encrypted Secret, opened with the first of the lab's
    identities that can. Raises Undecided if none can."""
    for key in (environment.key, INSTRUCTOR):
        identity, options = key_file(settings, key), ("--ignore-mac", "--output-type", "json")
        answer = sops.decrypt(settings, identity, data, *options)
        if answer.code == 0:
            try:
                return digest_manifest(json.loads(answer.out))[0]
            except (ValueError, AttributeError):
                break
    raise Undecided(
        f"{path} on main of {environment.repository} cannot be opened", "sopslab verify"
    )


def uses_in_cluster(
    environment: Environment, live: Mapping[str, LiveSecret], exposed: Set[str]
) -> Iterator[Use]:
    """Yield where a Secret of the environment's namespace has one of the exposed values."""
    namespace = environment.namespace
    wait = f"flux --namespace {environment.system} reconcile kustomization"
    wait += f" {environment.kustomization} --with-source"
    for name, secret in live.items():
        for key, digest in known(secret.digests).items():
            if digest in exposed:
                yield Use(f"the Secret {name} of the namespace {namespace}", key, wait)
