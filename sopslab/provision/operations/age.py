"""Operations on age identities. A private key never leaves its file but through a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from sopslab.config.naming import next_key, seat_system_namespace
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.files.render import RenderedFile
from sopslab.lab.act import identities as act_identities
from sopslab.lab.observe.host_secrets import held_key, seats_with_keys
from sopslab.lab.observe.identities import identity_state, identity_states
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.decryption import DecryptionKeyState
from sopslab.model.identities import IdentityState
from sopslab.policy.sops import kind_of, short
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look
from sopslab.provision.operations.seats import failing
from sopslab.provision.operations.tree import tree


@operation()
def trusted(settings: Settings, repositories: Mapping[str, str], path: str) -> Commands:
    """
    Have a folder with the recipients to whom every secret of a learner must be encrypted: whoever
    checks a push goes by it, and not by the `.sops.yaml` that is pushed.

    Nobody must encrypt to an identity that is being replaced, and nobody yet to the one that will
    follow: both are taken until the change is made.

    + settings: the lab's settings
    + repositories: the first part of a repository's path, and the identity that belongs to it
    + path: the folder
    """
    keys = [INSTRUCTOR, *repositories.values()]
    states = look(settings, identity_states, keys=[*keys, *(next_key(key) for key in keys)])
    files = {
        owner: RenderedFile(_lasting(states, (INSTRUCTOR, key)).encode(), executable=False)
        for owner, key in repositories.items()
        if key in states and states[key].recipient is not None
    }
    yield from tree._inner(path=path, files=files)


def _lasting(states: Mapping[str, IdentityState], keys: Sequence[str]) -> str:
    """Return the recipients of identities of which none is being replaced, in a line."""
    found = [
        states[key].recipient or ""
        for key in keys
        if key in states and states.get(next_key(key), IdentityState()).recipient is None
    ]
    return f"{','.join(found)}\n"


@operation()
def identity(settings: Settings, key: str, in_cluster: bool = False) -> Commands:
    """
    Have an age identity in the lab's key store: made once, never overwritten, never made anew
    silently.

    + settings: the lab's settings
    + key: its name in the store
    + in_cluster: whether the cluster's `sops-age` holds the same one, to be compared or recovered
    """
    path = f"{settings.keys_dir}/{key}"
    state = look(settings, identity_state, key=key)
    held = DecryptionKeyState()
    if in_cluster and state.problem is None:
        held = look(settings, held_key)
    cluster = held.recipient
    if cluster is not None and not held.holds(state.recipient):
        if settings.key_from == "cluster":
            note("recovered the identity from the cluster")
            yield _recover(settings, key, FLUX_NAMESPACE)
            return
        if state.recipient is None:
            yield refusal(_recoverable(path, f"it ({short(cluster)})"))
            return
        if settings.key_from != "store":
            yield refusal(
                f"the key in the store and the key in the cluster differ: the store has"
                f" {short(state.recipient)}, the cluster has {short(cluster)}. Say which is right:"
                " `sopslab up --key-from store` or `--key-from cluster`"
            )
            return
    problem = _problem(settings, path, state)
    if problem is not None:
        yield refusal(problem)
        return
    if state.recipient is None:
        yield generate(settings, path)
        return
    if state.recorded is None:
        yield record(settings, path)
        return
    host.noop(f"the identity {key} is there")


@operation()
def identities(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    Have an age identity for each seat of a class, by the rules of `identity`. A seat whose identity
    cannot be used fails, and the others go on.

    + settings: the lab's settings
    + seats: their ids, which are the names of the identities
    """
    states = look(settings, identity_states, keys=list(seats))
    lost = [seat for seat in seats if states.get(seat, IdentityState()) == IdentityState()]
    # Only who has nothing here is looked for in the cluster: on a first run, that is nobody yet.
    held = look(settings, seats_with_keys, seats=lost) if lost else []
    reasons = {seat: _unusable(settings, seat, states[seat], held) for seat in states}
    refused = {seat: reason for seat, reason in reasons.items() if reason is not None}
    recovered = [seat for seat in held if settings.key_from == "cluster"]
    made = [seat for seat in lost if seat not in held]
    unnoted = unrecorded(states)
    if not (refused or recovered or made or unnoted):
        host.noop("every seat has its identity")
        return
    yield from failing(settings, refused)
    for seat in recovered:
        yield _recover(settings, seat, seat_system_namespace(seat))
    if made:
        yield generate(settings, *(f"{settings.keys_dir}/{seat}" for seat in made))
    if unnoted:
        yield record(settings, *(f"{settings.keys_dir}/{seat}" for seat in unnoted))


def _unusable(
    settings: Settings, seat: str, state: IdentityState, held: Sequence[str]
) -> str | None:
    path = f"{settings.keys_dir}/{seat}"
    if seat in held:
        return None if settings.key_from == "cluster" else _recoverable(path, "it")
    return _problem(settings, path, state)


def _recoverable(path: str, it: str) -> str:
    return (
        f"the identity {path}.agekey is gone, but the cluster still has {it}:"
        " `sopslab up --key-from cluster` recovers it"
    )


def _problem(settings: Settings, path: str, state: IdentityState) -> str | None:
    """Return why an identity cannot be used, None for one that can, or has never been made."""
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


def _recover(settings: Settings, key: str, namespace: str) -> StringCommand:
    path = f"{settings.keys_dir}/{key}"
    return acting(settings, act_identities.recover, path=path, namespace=namespace)


def generate(settings: Settings, *paths: str) -> StringCommand:
    """Return the command that makes an identity at each of the paths, which are in one folder."""
    return acting(settings, act_identities.generate, kind=settings.age_key_type, paths=list(paths))


def unrecorded(states: Mapping[str, IdentityState]) -> list[str]:
    """Return which identities are there without their note: a run was killed in between."""
    return [key for key, state in states.items() if state.recipient and state.recorded is None]


def record(settings: Settings, *paths: str) -> StringCommand:
    """Return the command that notes the recipient of the identity at each of the paths."""
    return acting(settings, act_identities.record, paths=list(paths))
