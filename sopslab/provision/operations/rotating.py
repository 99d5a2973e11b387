"""What the operations of a rotation look at, and what they remember between runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.settings import Settings
from sopslab.incidents.rotation.encrypted import EncryptedFile
from sopslab.incidents.rotation.orders import Change
from sopslab.incidents.rotation.phases import replaces_keys, touches_files
from sopslab.incidents.rotation.plan import Version, rotated_files
from sopslab.incidents.rotation.record import Rotation, key_of, render_rotation
from sopslab.lab.observe.checkpoints import repository_states
from sopslab.lab.observe.encrypted import encrypted_versions
from sopslab.lab.observe.leaked import record_file
from sopslab.model.identities import IdentityState, recipient_of
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import Commands, script
from sopslab.provision.known import identities
from sopslab.provision.look import look
from sopslab.provision.operations.reset import UNSEEN, standing

_REMEMBER = """
umask 077
mkdir -p "$(dirname "$1")"
cat >"$1.new"
sync "$1.new"
mv "$1.new" "$1"
"""


@dataclass(frozen=True)
class Outcome:
    """The result for an environment: main before the rotation and now, and the change of keys."""

    environment: Environment
    before: Version
    after: Version
    change: Change

    def rotated(self) -> list[tuple[str, EncryptedFile]]:
        """Return the encrypted files whose content has changed, each with its path."""
        changed = rotated_files(self.before, self.after)
        return [(path, found) for path, found in self.after.encrypted() if path in changed]


def remember(settings: Settings, rotation: Rotation) -> Commands:
    file = record_file(settings, rotation.incident)
    yield script(_REMEMBER, file, stdin=render_rotation(rotation))


def keys_of(rotation: Rotation, environments: Sequence[Environment]) -> list[str]:
    if not replaces_keys(rotation.cause):
        return []
    return list(dict.fromkeys(key_of(rotation, one) for one in environments))


def change_of(
    rotation: Rotation, environment: Environment, states: Mapping[str, IdentityState]
) -> Change:
    if not replaces_keys(rotation.cause):
        return Change(None, None, environment.key, environment.key)
    key = key_of(rotation, environment)
    old = rotation.retiring[key]
    current = recipient_of(states, key)
    gone = current != old
    holder = key if gone else next_key(key)
    opener = None if gone and key == environment.key else environment.key
    return Change(old, recipient_of(states, holder), opener, holder, gone)


def repositories(
    settings: Settings, environments: Sequence[Environment]
) -> dict[str, RepositoryState]:
    """Return the state of each repository, by the learner's id: the commit of main, and the first
    commit."""
    if not environments:
        return {}
    found: dict[str, RepositoryState] = look(
        settings, repository_states, environments=list(environments), checkpoint="start", saved=""
    )
    return found


def state_of(found: Mapping[str, RepositoryState], environment: Environment) -> RepositoryState:
    return found.get(environment.id, UNSEEN)


def versions_of(
    settings: Settings, wanted: Sequence[tuple[Environment, str | None]]
) -> dict[tuple[str, str], Version]:
    """Return the encrypted files in commits of repositories, by learner and commit."""
    environments = {one.id: one for one, commit in wanted if commit is not None}
    commits: dict[str, list[str]] = {}
    for one, commit in wanted:
        if commit is not None and commit not in commits.setdefault(one.id, []):
            commits[one.id].append(commit)
    if not environments:
        return {}
    found = look(
        settings,
        encrypted_versions,
        environments=list(environments.values()),
        commits=commits,
        incident=settings.incident,
    )
    return {
        (learner, commit): version
        for learner, versions in found.items()
        for commit, version in versions.items()
    }


def unfinished(
    settings: Settings, rotation: Rotation | None, environments: Sequence[Environment]
) -> list[Environment]:
    """Return the environments whose rotation is not over and that have not failed in this run."""
    if rotation is None:
        return []
    return [
        one
        for one in standing(settings, environments)
        if one.id in rotation.subjects
        and (one.id not in rotation.proven or rotation.pending.get(one.id))
    ]


def outcomes_of(
    settings: Settings, rotation: Rotation | None, environments: Sequence[Environment]
) -> list[Outcome]:
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or not concerned or not touches_files(rotation.cause):
        return []
    found = repositories(settings, concerned)
    states = identities(settings, keys_of(rotation, concerned))
    wanted = [
        (one, commit)
        for one in concerned
        for commit in (rotation.heads.get(one.id), state_of(found, one).main)
    ]
    versions = versions_of(settings, wanted)
    outcomes = []
    for one in concerned:
        after = versions.get((one.id, state_of(found, one).main or ""))
        if after is not None:
            before = versions.get((one.id, rotation.heads.get(one.id, "")), after)
            outcomes.append(Outcome(one, before, after, change_of(rotation, one, states)))
    return outcomes
