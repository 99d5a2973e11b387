"""Operations on what a rotation remembers, and on the identities that it replaces. If an
environment fails, this is recorded in a file for it, and the others go on.

The order matters. The cluster gets the new identities before anything is pushed, and loses the old
ones only when no main needs them any more.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.incidents.rotation.phases import Phase, replaces_keys, touches_files
from sopslab.incidents.rotation.plan import faults
from sopslab.incidents.rotation.record import begin_rotation, incident_of
from sopslab.lab.act import suspension
from sopslab.lab.act.retirement import retire
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.identities import identity_states
from sopslab.lab.observe.suspension import left_by_a_rotation
from sopslab.model.identities import IdentityState, recipient_of
from sopslab.model.incidents import Cause
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.known import identities, incidents, rotation_of
from sopslab.provision.look import forget, look
from sopslab.provision.operations import flux
from sopslab.provision.operations.age import generate, record, unrecorded
from sopslab.provision.operations.incidents import incident_record
from sopslab.provision.operations.rotating import (
    change_of,
    keys_of,
    outcomes_of,
    remember,
    repositories,
    unfinished,
)
from sopslab.provision.operations.seats import failing


@operation()
def inventory(
    settings: Settings,
    environments: Sequence[Environment],
    exposed: Sequence[str],
    known: Sequence[str],
) -> Commands:
    """
    Record what is replaced: the public key of each identity, and the commit of each main. If the
    rotation has begun before, drop the learners whose environment is gone.

    + settings: the lab's settings
    + environments: the environments of the rotation
    + exposed: what leaked, as NAME or NAME/KEY, if it was not a key
    + known: the ids of all learners with an environment
    """
    rotation = rotation_of(settings)
    if rotation is not None:
        gone = [one for one in rotation.subjects if one not in (*known, *rotation.proven)]
        if not gone:
            host.noop(f"the rotation {rotation.incident} has begun")
            return
        note(f"{named(gone)}: archived meanwhile, with what there was")
        pending = {who: names for who, names in rotation.pending.items() if who not in gone}
        yield from remember(settings, replace(rotation.with_proof(gone), pending=pending))
        return
    rotation = begin_rotation(settings, environments, exposed)
    if touches_files(rotation.cause):
        keys = keys_of(rotation, environments)
        states = look(settings, identity_states, keys=keys) if keys else {}
        lost = [key for key in keys if recipient_of(states, key) is None]
        if lost:
            yield refusal(
                f"the identity {', '.join(lost)} of the store cannot be used, so what replaces it"
                " could not be proven: `sopslab up` says more"
            )
            return
        found = repositories(settings, environments)
        rotation = replace(
            rotation,
            heads={who: state.main for who, state in found.items() if state.main is not None},
            retiring={key: str(states[key].recipient) for key in keys},
        )
    yield from remember(settings, rotation)


@operation()
def successors(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Make, once, a successor for each identity that is replaced. It is stored beside the identity.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    concerned = unfinished(settings, rotation, environments)
    keys = [] if rotation is None else keys_of(rotation, concerned)
    states = identities(settings, keys)
    making = [
        key
        for key in keys
        if rotation is not None
        and recipient_of(states, key) == rotation.retiring[key]
        and recipient_of(states, next_key(key)) is None
    ]
    damaged = {
        key: state.problem for key in making if (state := states[next_key(key)]).problem is not None
    }
    if damaged:
        yield refusal(
            "; ".join(
                f"{settings.keys_dir}/{next_key(key)}.agekey: {why}" for key, why in damaged.items()
            )
        )
        return
    following = {next_key(key) for key in keys}
    unnoted = unrecorded({key: state for key, state in states.items() if key in following})
    if not making and not unnoted:
        host.noop("every identity that is replaced has a successor, or is gone")
        return
    forget(identity_states)
    if making:
        yield generate(settings, *(f"{settings.keys_dir}/{next_key(key)}" for key in making))
    if unnoted:
        yield record(settings, *(f"{settings.keys_dir}/{key}" for key in unnoted))


@operation()
def handover(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Give the cluster the identities of the store. Flux's Kustomizations are suspended meanwhile, so
    that Flux stays ready.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    given = list(flux.secrets._inner(settings=settings, environments=environments))
    if given == [flux.lacking(settings)]:
        # With nothing suspended, Flux goes on with the identities that it has.
        yield from given
        return
    # A run that was killed in between has left the Kustomizations suspended.
    if not given and not look(settings, left_by_a_rotation, environments=list(environments)):
        return
    yield acting(settings, suspension.look_away, environments=list(environments))
    yield from given
    yield acting(settings, suspension.look_again, environments=list(environments))


@operation()
def retirement(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Put each successor in the place of its predecessor, which is archived. An identity stays while
    any main needs it.

    + settings: the lab's settings
    + environments: the environments of the rotation
    """
    rotation = rotation_of(settings)
    outcomes = outcomes_of(settings, rotation, environments)
    if rotation is None or not outcomes or not replaces_keys(rotation.cause):
        host.noop("no identity goes")
        return
    problems = {
        one.environment.id: found[0]
        for one in outcomes
        if (found := faults(one.after, old=one.change.old, new=one.change.new))
    }
    keys = keys_of(rotation, [one.environment for one in outcomes])
    if rotation.cause is Cause.INSTRUCTOR_KEY:
        # The instructor's identity opens the files of all learners: it stays while any file needs
        # it.
        settled = {one.environment.id for one in outcomes} | set(rotation.proven)
        all_of_them = settled >= set(rotation.subjects) and not problems
        leaving = keys if all_of_them else []
    else:
        leaving = [one.environment.key for one in outcomes if one.environment.id not in problems]
    states = identities(settings, keys)
    leaving = [key for key in leaving if states.get(next_key(key), IdentityState()).recorded]
    if not leaving and not problems:
        host.noop("the identities that leaked are archived")
        return
    yield from failing(settings, problems)
    if leaving:
        forget(identity_states)
        yield acting(settings, retire, keys=leaving)


@operation()
def phase_end(settings: Settings, phase: Phase) -> Commands:
    """
    Record that a phase is over, once it is over for everybody.

    + settings: the lab's settings
    + phase: the phase
    """
    rotation = rotation_of(settings)
    if rotation is None or phase in rotation.phases:
        host.noop("it is on record")
        return
    failures = look(settings, seat_failures)
    if set(rotation.subjects) & set(failures):
        host.noop("it is not over for everybody")
        return
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    yield from remember(settings, rotation.ended(phase, moment))


@operation()
def conclusion(
    settings: Settings, environments: Sequence[Environment], given: Sequence[str]
) -> Commands:
    """
    Record for which learners the rotation is over, and which values are left to a person.

    + settings: the lab's settings
    + environments: the environments of the rotation
    + given: the names of the values that a person has typed for this run
    """
    rotation = rotation_of(settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or not concerned:
        host.noop("it is on record")
        return
    states = identities(settings, keys_of(rotation, concerned))
    learners = [one.id for one in concerned if change_of(rotation, one, states).gone]
    pending = {
        learner: tuple(name for name in names if learner not in learners or name not in given)
        for learner, names in rotation.pending.items()
    }
    told = replace(
        rotation.with_proof(learners),
        pending={learner: names for learner, names in pending.items() if names},
    )
    if told == rotation:
        host.noop("it is on record")
        return
    yield from remember(settings, told)


@operation()
def incident(settings: Settings) -> Commands:
    """
    Record the incident in the platform repository, with what the rotation has done so far. Close
    the incident when the rotation is over and nothing is left to a person.

    + settings: the lab's settings
    """
    rotation = rotation_of(settings)
    if rotation is None:
        host.noop("no rotation has begun")
        return
    known = incidents(settings).get(rotation.incident)
    today = datetime.now(UTC).date()
    yield from incident_record._inner(
        settings=settings, incident=incident_of(rotation, known, today)
    )


@operation()
def report(settings: Settings) -> Commands:
    """
    End the run with a list of the values that only a person can replace, if any are left.

    + settings: the lab's settings
    """
    rotation = rotation_of(settings)
    pending = {} if rotation is None else rotation.pending
    left = {learner: names for learner, names in pending.items() if names}
    if not left:
        host.noop("every value that leaked is replaced")
        return
    # The names are those that a learner chose, and may be copied into a command.
    listing = "\n".join(
        f"  {who}: {', '.join(map(shlex.quote, names))}" for who, names in sorted(left.items())
    )
    yield refusal(
        "these values have not been replaced, because only their owner can make new ones; give them"
        f" with `--incident {settings.incident} --value NAME/KEY`:\n{listing}"
    )
