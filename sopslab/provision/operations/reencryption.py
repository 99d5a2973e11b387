"""Operations that re-encrypt the files of repositories, and bring the clone up to date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.incidents.rotation.orders import Change, Order, draw_up
from sopslab.incidents.rotation.phases import replaces_keys, touches_files
from sopslab.incidents.rotation.plan import (
    TRAILER,
    Version,
    VersionPlan,
    asks_elsewhere,
    is_noted,
    plan_version,
    remains,
    unknown_values,
    value_name,
)
from sopslab.incidents.rotation.record import Rotation
from sopslab.lab.act import clones, reencryption
from sopslab.lab.observe.clones import clone_standing
from sopslab.model.repositories import CloneStanding, RepositoryState
from sopslab.provision.command import Commands, acting
from sopslab.provision.facts.rotation import Remembered
from sopslab.provision.look import look
from sopslab.provision.operations.rotating import (
    change_of,
    identities,
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
    Leave nothing at main, nor at the checkpoint that a reset goes back to, that what leaked opens:
    give the files another recipient where a key leaked, another data key, and other values.

    + settings: the lab's settings
    + environments: whose
    + given: the values that a human gave, by NAME/KEY
    """
    rotation = host.get_fact(Remembered, settings=settings)
    concerned = unfinished(settings, rotation, environments)
    if rotation is None or not concerned or not touches_files(rotation.cause):
        host.noop("nothing is to be re-encrypted")
        return
    found = repositories(settings, concerned)
    states = identities(settings, keys_of(rotation, concerned))
    versions = versions_of(
        settings,
        [
            (one, commit)
            for one in concerned
            for commit in (state_of(found, one).main, state_of(found, one).target)
        ],
    )
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
    # Before anything changes: what only a human can do must not be forgotten.
    if after != rotation:
        yield from remember(settings, after)
    if orders:
        message = f"Replace what leaked\n\n{TRAILER}: {rotation.incident}"
        yield acting(settings, reencryption.reencrypt, message=message, orders=orders)


def _obstacle(
    rotation: Rotation,
    state: RepositoryState,
    change: Change,
    learner: str,
    versions: Mapping[tuple[str, str], Version],
) -> str | None:
    """Return why a repository cannot be re-encrypted, None if it can."""
    if state.problem is not None:
        return state.problem
    if state.main is None or (learner, state.main) not in versions:
        return "its repository has no branch main"
    if replaces_keys(rotation.cause) and change.new is None:
        return "the identity that follows is not there"
    main = versions[learner, state.main]
    if main.odd:
        return "an encrypted file has a name with control characters or '..' in it: rename it first"
    unknown = unknown_values(main, rotation.exposed)
    return f"it holds no encrypted {', '.join(unknown)}" if unknown else None


def _usable(
    rotation: Rotation, learner: str, version: Version, given: Mapping[str, str]
) -> list[str]:
    """Return which of the values that a human gives are to be written into a version."""
    awaited = _awaited(rotation, learner)
    return [name for name in given if name in awaited or not is_noted(rotation, version)]


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
    """Return the rotation with what it leaves to a human, and with what stays exposed."""
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
def clone(settings: Settings, environment: Environment) -> Commands:
    """
    Move the learner's clone to main, if it has nothing of its own.

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
