"""Operations that re-encrypt the files of repositories, and bring the clone up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.files.events import named, note
from sopslab.incidents.rotation.instructor import former_recipient, plan_succession
from sopslab.incidents.rotation.orders import Change, Order, draw_up
from sopslab.incidents.rotation.phases import replaces_keys, touches_files
from sopslab.incidents.rotation.plan import (
    LARGE,
    TRAILER,
    Version,
    VersionPlan,
    asks_elsewhere,
    plan_version,
    remains,
    unknown_values,
    value_name,
)
from sopslab.incidents.rotation.record import Rotation
from sopslab.lab.act import clones, reencryption
from sopslab.lab.observe.begun import begun_environments
from sopslab.lab.observe.clones import clone_standing
from sopslab.lab.observe.failures import seat_failures
from sopslab.model.identities import IdentityState, recipient_of
from sopslab.model.repositories import CloneStanding, RepositoryState
from sopslab.provision import known
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.known import rotation_of
from sopslab.provision.look import forget, look, recall
from sopslab.provision.operations.rotating import (
    change_of,
    keys_of,
    remember,
    repositories,
    state_of,
    unfinished,
    versions_of,
)
from sopslab.provision.operations.seats import failing


@operation()
def files(
    settings: Settings, environments: Sequence[Environment], given: Mapping[str, str]
) -> Commands:
    """
    Re-encrypt the files of main, and of the commit to which a reset goes back, so that what leaked
    opens none of them. The files get another data key, new values and, if a key leaked, another
    recipient.

    + settings: the lab's settings
    + environments: the environments of the rotation
    + given: the values that a person has typed, by NAME/KEY
    """
    rotation = rotation_of(settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or not concerned or not touches_files(rotation.cause):
        host.noop("nothing is to be re-encrypted")
        return
    found = repositories(settings, concerned)
    states = known.identities(settings, keys_of(rotation, concerned))
    versions = _versions(settings, concerned, found)
    problems: dict[str, str] = {}
    orders: list[Order] = []
    after = rotation
    for one in concerned:
        learner = one.id
        state, change = state_of(found, one), change_of(rotation, one, states)
        why = _obstacle(rotation, state, change, learner, versions)
        if why is not None:
            problems[learner] = why
            continue
        plans = {
            commit: plan_version(
                rotation,
                versions[learner, commit],
                old=change.old,
                given=_usable(rotation, learner, versions[learner, commit], given),
            )
            for commit in (state.main, state.target)
            if commit is not None and (learner, commit) in versions
        }
        if all(plan.empty for plan in plans.values()):
            continue
        elsewhere = next(filter(None, map(asks_elsewhere, plans.values())), None)
        if elsewhere is not None:
            problems[learner] = elsewhere
            continue
        order = draw_up(
            one,
            change,
            given,
            start=plans.get(state.target or ""),
            main=plans.get(state.main or ""),
        )
        orders.append(order)
        after = _told(after, one, plans.get(state.main or ""), versions, change.old, given)
        for name in order.fresh:
            note(f"{learner}: {name} has another value: make the old one invalid where it is used")
    if not orders and not problems:
        host.noop("what leaked opens nothing that is encrypted")
        return
    yield from failing(settings, problems)
    # Recorded before anything changes, so that what is left to a person is never forgotten.
    if after != rotation:
        yield from remember(settings, after)
    if orders:
        message = f"Replace what leaked\n\n{TRAILER}: {rotation.incident}"
        yield acting(
            settings,
            reencryption.reencrypt,
            message=message,
            orders=orders,
            incident=rotation.incident,
        )


def _versions(
    settings: Settings, environments: Sequence[Environment], found: Mapping[str, RepositoryState]
) -> dict[tuple[str, str], Version]:
    """Return the encrypted files of main and of the first commit, by learner and commit."""
    return versions_of(
        settings,
        [
            (one, commit)
            for one in environments
            for commit in (state_of(found, one).main, state_of(found, one).target)
        ],
    )


def _obstacle(
    rotation: Rotation,
    state: RepositoryState,
    change: Change,
    learner: str,
    versions: Mapping[tuple[str, str], Version],
) -> str | None:
    """Return why a repository cannot be re-encrypted, None if it can."""
    unfit = _unfit(state, learner, versions)
    if unfit is not None:
        return unfit
    if replaces_keys(rotation.cause) and change.new is None:
        return "the identity that follows is not there"
    unknown = unknown_values(versions[learner, state.main or ""], rotation.exposed)
    return f"it holds no encrypted {', '.join(unknown)}" if unknown else None


def _unfit(
    state: RepositoryState, learner: str, versions: Mapping[tuple[str, str], Version]
) -> str | None:
    """Return why the state of a repository does not allow to re-encrypt it, None if it does."""
    if state.problem is not None:
        return state.problem
    if state.main is None or (learner, state.main) not in versions:
        return "its repository has no branch main"
    if versions[learner, state.main].large:
        return LARGE
    if versions[learner, state.main].odd:
        return "an encrypted file has a name with control characters or '..' in it: rename it first"
    misnamed = [path for path, found in versions[learner, state.main].encrypted() if found.misnamed]
    if misnamed:
        return (
            f"{misnamed[0]} has a Secret, or a value in it, with a name that Kubernetes takes in"
            " none: rename it first"
        )
    return None


def _usable(
    rotation: Rotation, learner: str, version: Version, given: Mapping[str, str]
) -> list[str]:
    """Return the names of the typed values that have to be written into a version."""
    awaited = _awaited(rotation, learner)
    return [name for name in given if name in awaited or not version.noted]


def _awaited(rotation: Rotation, learner: str) -> tuple[str, ...]:
    return rotation.pending.get(learner, ())


def _told(
    rotation: Rotation,
    environment: Environment,
    plan: VersionPlan | None,
    versions: Mapping[tuple[str, str], Version],
    old: str | None,
    given: Mapping[str, str],
) -> Rotation:
    """Return the rotation with a record of what is left to a person, and of what stays exposed."""
    learner = environment.id
    if plan is None or plan.empty:
        return rotation
    human = [value_name(file.secret, leaf) for file in plan.files for leaf in file.human]
    kept = [name for name in _awaited(rotation, learner) if name not in given]
    before = versions[learner, plan.commit]
    sentences = remains(environment.repository, before, [file.path for file in plan.files], old)
    return replace(
        rotation,
        pending={**rotation.pending, learner: tuple(dict.fromkeys([*kept, *human]))},
        remains={
            **rotation.remains,
            learner: tuple(dict.fromkeys([*rotation.remains.get(learner, ()), *sentences])),
        },
    )


@operation()
def instructor(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Re-encrypt files of main and of the first commit to the instructor's present recipient, if they
    are still encrypted to a former one. The files get another data key, and keep their values.

    + settings: the lab's settings
    + environments: the environments whose files are looked at
    """
    begun = recall(settings, begun_environments, environments=list(environments))
    states = known.identities(settings, [INSTRUCTOR, *(one.key for one in environments)])
    formers = _formers(begun, states, environments)
    if not formers:
        host.noop("the instructor's recipient is the one that files are encrypted to")
        return
    present = states[INSTRUCTOR].recipient
    concerned = [one for one in environments if one.id in formers]
    found = repositories(settings, concerned)
    versions = _versions(settings, concerned, found)
    problems: dict[str, str] = {}
    orders: list[Order] = []
    for one in concerned:
        state, former = state_of(found, one), formers[one.id]
        plans = {
            commit: plan_succession(versions[one.id, commit], former)
            for commit in (state.main, state.target)
            if commit is not None and (one.id, commit) in versions
        }
        why = _unfit(state, one.id, versions) or next(
            filter(None, map(asks_elsewhere, plans.values())), None
        )
        if why is not None:
            problems[one.id] = why
            continue
        # Old and new files are opened with the environment's identity, because the instructor's
        # may be on another machine.
        change = Change(former, present, one.key, one.key)
        start, main = plans.get(state.target or ""), plans.get(state.main or "")
        orders.append(draw_up(one, change, {}, start=start, main=main))
    alone = [one for one in concerned if not one.is_seat]
    if any(one.id in problems for one in alone):
        yield refusal(_sentences(alone, problems))
        return
    yield from failing(settings, problems)
    if not orders:
        return
    changed = named([order.environment.id for order in orders])
    note(
        f"the instructor's recipient is another one for {changed}: clones follow with"
        " `git pull --rebase`"
    )
    message = "Encrypt to the instructor's present recipient"
    forget(begun_environments)
    yield acting(settings, reencryption.reencrypt, message=message, orders=orders, incident=None)
    failed = look(settings, seat_failures) if alone else {}
    if any(one.id in failed for one in alone):
        yield refusal(_sentences(alone, failed))
        return
    for one in alone:
        yield from clone._inner(settings=settings, environment=one)


def _formers(
    begun: Mapping[str, Sequence[str]],
    states: Mapping[str, IdentityState],
    environments: Sequence[Environment],
) -> dict[str, str]:
    """Return the instructor's former recipient that has to be replaced, by the learner's id."""
    if recipient_of(states, next_key(INSTRUCTOR)) is not None:
        # A rotation is already replacing the identity, and re-encrypts the files.
        return {}
    present = recipient_of(states, INSTRUCTOR)
    found = {
        one.id: former_recipient(begun.get(one.id, ()), recipient_of(states, one.key), present)
        for one in environments
    }
    return {learner: former for learner, former in found.items() if former is not None}


def _sentences(environments: Sequence[Environment], reasons: Mapping[str, str]) -> str:
    return "\n".join(
        f"the files of {one.id} still need the instructor's former identity: {reasons[one.id]}"
        for one in environments
        if one.id in reasons
    )


@operation()
def clone(settings: Settings, environment: Environment) -> Commands:
    """
    Move the learner's clone to main, if the clone has no changes of its own.

    + settings: the lab's settings
    + environment: the learner's
    """
    how = look(settings, clone_standing, environment=environment)
    if how is CloneStanding.APART:
        host.noop(f"{settings.work_dir} has changes of its own: git pull --rebase")
        return
    if how is not CloneStanding.BEHIND:
        host.noop("the clone is on main")
        return
    yield acting(settings, clones.follow, environment=environment)
