"""Operations on age identities. A private key leaves its file only through a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.checks.snapshot import ClusterKey
from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.files.render import RenderedFile
from sopslab.lab.act import identities as act_identities
from sopslab.lab.observe.host_secrets import held_keys
from sopslab.lab.observe.identities import identity_states, unused_identities
from sopslab.model.identities import IdentityState, recipient_of
from sopslab.policy.sops import kind_of, short
from sopslab.provision import known
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import forget, look
from sopslab.provision.operations.seats import failing
from sopslab.provision.operations.tree import tree


@operation()
def recipients(settings: Settings, repositories: Mapping[str, str], path: str) -> Commands:
    """
    Write a folder with the recipients to which every secret of a learner must be encrypted. The Git
    server checks a push by this folder, and not by the `.sops.yaml` that is pushed.

    While an identity is being replaced, the server accepts both the identity and its successor, and
    requires neither.

    + settings: the lab's settings
    + repositories: the first part of each repository's path, and the identity that belongs to it
    + path: the folder
    """
    keys = [INSTRUCTOR, *repositories.values()]
    states = known.identities(settings, keys)
    files = {
        owner: RenderedFile(_lasting(states, (INSTRUCTOR, key)).encode(), executable=False)
        for owner, key in repositories.items()
        if key in states and states[key].recipient is not None
    }
    yield from tree._inner(path=path, files=files)


def _lasting(states: Mapping[str, IdentityState], keys: Sequence[str]) -> str:
    """Return one line with the recipients of those identities that are not being replaced."""
    found = [
        states[key].recipient or ""
        for key in keys
        if key in states and recipient_of(states, next_key(key)) is None
    ]
    return f"{','.join(found)}\n"


@operation()
def identities(settings: Settings, keys: Mapping[str, Environment | None]) -> Commands:
    """
    Make the age identities of the lab's key store once. An identity is never overwritten, and a
    lost identity is never silently made anew. If the identity of a seat cannot be used, the seat
    fails and the others go on. If any other identity cannot be used, the run is refused.

    + settings: the lab's settings
    + keys: the name of each identity in the store, with the environment whose Secret `sops-age` has
        the same identity, for comparison or recovery; None if the cluster does not have it
    """
    seen = known.identities(settings, keys)
    states = {key: seen.get(key, IdentityState()) for key in keys}
    held = _held(settings, keys, states)
    reasons = {key: _unusable(settings, key, state, held.get(key)) for key, state in states.items()}
    refused = {key: reason for key, reason in reasons.items() if reason is not None}
    seats = {key for key, owner in keys.items() if owner is not None and owner.is_seat}
    fatal = [reason for key, reason in refused.items() if key not in seats]
    if fatal:
        yield refusal("\n".join(fatal))
        return
    recovered = {
        key: owner.system
        for key, owner in keys.items()
        if owner is not None and key in held and settings.key_from == "cluster"
    }
    made = [
        key
        for key, state in states.items()
        if state.recipient is None and key not in (*refused, *recovered)
    ]
    unnoted = [key for key in unrecorded(states) if key not in recovered]
    for file in look(settings, unused_identities) if settings.instructor_recipient else []:
        note(
            f"{file} is not used, since instructor_recipient is set; it opens what is in Git's"
            " history: keep it where your own is"
        )
    if not (refused or recovered or made or unnoted):
        host.noop("every identity is there")
        return
    forget(identity_states)
    yield from failing(settings, refused)
    if recovered:
        note(f"recovered from the cluster: {named(list(recovered))}")
    for key, namespace in recovered.items():
        path = f"{settings.keys_dir}/{key}"
        yield acting(settings, act_identities.recover, path=path, namespace=namespace)
    if made:
        yield generate(settings, *(f"{settings.keys_dir}/{key}" for key in made))
    if unnoted:
        yield record(settings, *(f"{settings.keys_dir}/{key}" for key in unnoted))


def _held(
    settings: Settings,
    keys: Mapping[str, Environment | None],
    states: Mapping[str, IdentityState],
) -> dict[str, str]:
    """Return the recipients of the identities that the cluster has while the store has no identity
    of that name, or another one. They are returned by their names in the store.

    If a seat's identity is in the store, it is compared later, when the cluster gets it.
    """
    owners = {
        key: owner
        for key, owner in keys.items()
        if owner is not None
        and states[key].problem is None
        and (not owner.is_seat or states[key] == IdentityState())
    }
    if not owners:
        return {}
    found = look(settings, held_keys, environments=list(owners.values()))
    live = {key: found.get(owner.id, ClusterKey(False)) for key, owner in owners.items()}
    return {
        key: min(one.valid[one.kept])
        for key, one in live.items()
        if one.kept is not None and states[key].recipient not in one.recipients
    }


def _unusable(
    settings: Settings, key: str, state: IdentityState, cluster: str | None
) -> str | None:
    """Return why an identity cannot be used; None if it can be used, made or recovered.

    + cluster: the recipient of the cluster's identity if it differs from the store's, or else None
    """
    path = f"{settings.keys_dir}/{key}"
    if cluster is not None:
        if settings.key_from == "cluster":
            return None
        if state.recipient is None:
            return (
                f"the identity {path}.agekey is gone, but the cluster still has it"
                f" ({short(cluster)}): `sopslab up --key-from cluster` recovers it"
            )
        if settings.key_from != "store":
            return (
                f"the key in the store and the key in the cluster differ: the store has"
                f" {short(state.recipient)}, the cluster has {short(cluster)}. Say which is right:"
                " `sopslab up --key-from store` or `--key-from cluster`"
            )
    return _problem(settings, path, state)


def _problem(settings: Settings, path: str, state: IdentityState) -> str | None:
    """Return why an identity of the store cannot be used; None if it can, or was never made."""
    if state.problem is not None:
        return f"the identity {path}.agekey cannot be used: {state.problem}"
    if state.recipient is None:
        if state.recorded is None:
            return None
        return (
            f"the identity {path}.agekey is gone, and it was {short(state.recorded)}: restore it"
            " from your backup. A new one could not decrypt what is in Git; if that may be lost,"
            f" remove {path}.pub as well"
        )
    if state.recorded not in (None, state.recipient):
        return (
            f"the identity {path}.agekey is {short(state.recipient)}, but it was"
            f" {short(state.recorded or '')} when it was made: restore it from your backup, or"
            f" remove {path}.pub if the change was meant"
        )
    if kind_of(state.recipient) != settings.age_key_type:
        return (
            f"the identity {path}.agekey is of the kind {kind_of(state.recipient)}, and"
            f" age_key_type is {settings.age_key_type}: a secret that is encrypted to both kinds is"
            " as safe as the weaker one. Leave age_key_type as it was, or begin a lab of another"
            " name"
        )
    return None


def generate(settings: Settings, *paths: str) -> StringCommand:
    """Return the command that makes an identity at each path. All paths are in one folder."""
    return acting(settings, act_identities.generate, kind=settings.age_key_type, paths=list(paths))


def unrecorded(states: Mapping[str, IdentityState]) -> list[str]:
    """Return the identities whose recipient is not recorded, because a run was killed before it
    recorded the recipient."""
    return [key for key, state in states.items() if state.recipient and state.recorded is None]


def record(settings: Settings, *paths: str) -> StringCommand:
    """Return the command that records the recipient of the identity at each path."""
    return acting(settings, act_identities.record, paths=list(paths))
