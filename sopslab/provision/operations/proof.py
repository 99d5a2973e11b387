"""Operations that wait until new values and keys have arrived, and prove that what leaked opens
nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.incidents.rotation.encrypted import splice
from sopslab.incidents.rotation.plan import faults, still_exposed
from sopslab.lab.act import convergence, proof
from sopslab.lab.observe.encrypted import past_versions
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.leaked import archived_identities
from sopslab.lab.observe.live import live_values, old_consumers
from sopslab.lab.observe.settling import settling_objects
from sopslab.lab.tools.sops import NO_KEY, NO_VALUE
from sopslab.model.identities import recipient_of
from sopslab.model.rotation import Attempt, Delivered, LiveValue
from sopslab.policy.findings import Undecidable
from sopslab.provision.command import Commands, acting
from sopslab.provision.known import rotation_of
from sopslab.provision.look import look
from sopslab.provision.operations.rotating import Outcome, outcomes_of, unfinished
from sopslab.provision.operations.seats import failing


@operation()
def readiness(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Wait until Flux is done with its last task, so that it is ready for the next one. This gives up
    after a while; an environment that is still not ready is then named by the next operation.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    concerned = unfinished(settings, rotation, environments)
    if not concerned or not look(settings, settling_objects, environments=concerned):
        host.noop("Flux is done with what it was told")
        return
    yield acting(settings, convergence.settle, environments=concerned)


@operation()
def values(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Wait until the cluster has the values of the re-encrypted files.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    outcomes = outcomes_of(settings, rotation, environments)
    # The files are opened with the identity that has to open them from now on. If the instructor's
    # key is replaced, that is the instructor's successor, and not the environment's own identity.
    files = {
        one.environment.id: [
            Delivered(path, found.secret, one.change.holder)
            for path, found in one.rotated()
            if found.secret
        ]
        for one in outcomes
    }
    concerned = [one.environment for one in outcomes if files[one.environment.id]]
    if not concerned:
        host.noop("nothing was re-encrypted")
        return
    states = look(settings, live_values, environments=concerned, files=files)
    closed = {
        one.id: f"{file.path} cannot be opened by the new key"
        for one in concerned
        for file in files[one.id]
        if file.path not in states.get(one.id, {})
    }
    found = {how for paths in states.values() for how in paths.values()}
    if not closed and LiveValue.DIFFERS not in found:
        host.noop("the cluster has the new values")
        return
    yield from failing(settings, closed)
    yield acting(settings, convergence.await_values, environments=concerned, files=files)


@operation()
def workloads(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Restart each workload that has read an old value into its environment variables.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    outcomes = outcomes_of(settings, rotation, environments)
    changed = {one.environment.id: [found.secret for _, found in one.rotated()] for one in outcomes}
    changed = {learner: names for learner, names in changed.items() if names}
    if not changed:
        host.noop("no value has changed")
        return
    concerned = [one.environment for one in outcomes]
    found = look(
        settings,
        old_consumers,
        environments=concerned,
        incident=settings.incident or "",
        secrets=changed,
    )
    if not found:
        host.noop("nothing has read an old value at its start")
        return
    for learner, workloads in found.items():
        note(f"{learner}: {', '.join(workloads)}")
    yield acting(
        settings,
        convergence.restart,
        environments=concerned,
        incident=settings.incident or "",
        workloads=found,
    )


@operation()
def decryption(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Have Flux decrypt the files once more, with its present keys.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    concerned = unfinished(settings, rotation, environments)
    if not concerned:
        host.noop("nothing is left to be proven")
        return
    yield acting(settings, convergence.ask, environments=concerned)


@operation()
def attempts(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Prove that what leaked opens no file on any main: neither the file as it is, nor the file after
    the data key of an older version was put into it. Of older versions the newest are tried.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    # While any environment still needs the leaked identity, it is too early for a proof.
    outcomes = [one for one in outcomes_of(settings, rotation, environments) if one.change.gone]
    if rotation is None or not outcomes:
        host.noop("nothing can be proven now")
        return
    archived = look(settings, archived_identities) if rotation.retiring else {}
    states = look(settings, identity_states, keys=[one.environment.key for one in outcomes])
    past = _past(settings, outcomes)
    problems: dict[str, str] = {}
    attempts: list[Attempt] = []
    for one in outcomes:
        learner = one.environment.id
        key = one.environment.key
        found = [
            *faults(one.after, old=one.change.old, new=one.change.new),
            *still_exposed(one.before, one.after, rotation.exposed),
        ]
        leaked = one.change.old or recipient_of(states, key)
        identity = (
            archived.get(one.change.old)
            if one.change.old is not None
            else f"{settings.keys_dir}/{key}.agekey"
        )
        if found:
            problems[learner] = found[0]
        elif leaked is None or identity is None:
            problems[learner] = "the identity that leaked is not in the archive: nothing is proven"
        else:
            try:
                attempts += list(_attempts(one, past.get(learner, {}), leaked, identity))
            except Undecidable as error:
                problems[learner] = str(error)
    if not attempts and not problems:
        host.noop("nothing was encrypted, so there is nothing to open")
        return
    yield from failing(settings, problems)
    if attempts:
        note(f"{len(attempts)} attempts to open what must stay closed")
        yield acting(settings, proof.prove, attempts=attempts)


def _past(settings: Settings, outcomes: Sequence[Outcome]) -> dict[str, dict[str, list[str]]]:
    """Return the former content of the rotated files, by learner and path."""
    paths = {one.environment.id: [path for path, _ in one.rotated()] for one in outcomes}
    concerned = [one for one in outcomes if paths[one.environment.id]]
    if not concerned:
        return {}
    found: dict[str, dict[str, list[str]]] = look(
        settings,
        past_versions,
        environments=[one.environment for one in concerned],
        commits={one.environment.id: one.before.commit for one in concerned},
        paths=paths,
    )
    return found


def _attempts(
    outcome: Outcome, past: Mapping[str, list[str]], leaked: str, identity: str
) -> Iterator[Attempt]:
    """Yield the attempts for one environment. Raises Undecidable, with a sentence, for a file that
    cannot be put together with an old data key.

    + past: the former content of the rotated files, by path
    + leaked: the public key of the identity that leaked
    + identity: the file of that identity
    """
    learner = outcome.environment.id
    if outcome.change.old is not None:
        for path, _ in outcome.after.encrypted():
            text = outcome.after.texts[outcome.after.files[path]]
            yield Attempt(learner, f"the old key on {path}", identity, NO_KEY, text)
    for path, found in outcome.rotated():
        if not found.leaves:
            continue
        text = outcome.after.texts[outcome.after.files[path]]
        try:
            spliced = {splice(text, before, leaked) for before in past.get(path, [])}
        except Undecidable as error:
            raise Undecidable(f"{path} {error}: encrypt it again") from None
        for number, attack in enumerate(sorted(one for one in spliced if one is not None), 1):
            what = f"an old data key put into {path}, version {number}"
            yield Attempt(learner, what, identity, NO_VALUE, attack)
