"""Operations that put environments back to a checkpoint, from any state. Each operation works on
all environments. If an environment fails, this is recorded in a file for it, and the others go
on."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.checks.reset import (
    awaited_secrets,
    clone_plan,
    environment_plan,
    hopeless,
    repository_plan,
)
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import checkpoints, clearing, delivery
from sopslab.lab.observe.canaries import canary_states
from sopslab.lab.observe.checkpoints import clone_state, repository_states
from sopslab.lab.observe.delivery import deliveries
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.namespaces import obstacles
from sopslab.model.canaries import PROVEN
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import Commands, acting
from sopslab.provision.look import look
from sopslab.provision.operations.seats import failing

UNSEEN = RepositoryState(problem="its repository could not be looked at")


@operation()
def repositories(
    settings: Settings, environments: Sequence[Environment], checkpoint: str, saved: str
) -> Commands:
    """
    Move main of every repository to a checkpoint. Commits of main that the checkpoint does not have
    are kept on a branch.

    + settings: the lab's settings
    + environments: the environments to reset
    + checkpoint: `start`, `encrypted`, `wired` or `done`
    + saved: the branch that keeps the commits
    """
    states = look(
        settings,
        repository_states,
        environments=list(environments),
        checkpoint=checkpoint,
        saved=saved,
    )
    problems = {one.id: states.get(one.id, UNSEEN).problem for one in environments}
    astray = [one for one in environments if problems[one.id] is None and not states[one.id].there]
    if not astray and not any(problems.values()):
        host.noop(f"every repository is at the checkpoint {checkpoint}")
        return
    for one in astray:
        for sentence in repository_plan(states[one.id], checkpoint):
            note(f"{one.id}: {sentence}")
    yield from failing(settings, {who: why for who, why in problems.items() if why is not None})
    if astray:
        yield acting(
            settings,
            checkpoints.put_back,
            environments=astray,
            checkpoint=checkpoint,
            saved=saved,
        )


@operation()
def clone(settings: Settings, environment: Environment, checkpoint: str, saved: str) -> Commands:
    """
    Put the learner's clone on the repository's main. What was never pushed is kept on a branch of
    the clone.

    + settings: the lab's settings
    + environment: the learner's
    + checkpoint: the checkpoint that main of the repository is at
    + saved: the branch that keeps what was never pushed
    """
    if environment.id in look(settings, seat_failures):
        host.noop("the repository was not put back")
        return
    state = look(
        settings,
        clone_state,
        environment=environment,
        checkpoint=checkpoint,
        saved=saved,
    )
    if state is None or state.there:
        host.noop("the clone is on main")
        return
    for sentence in clone_plan(settings.work_dir, state):
        note(f"{environment.id}: {sentence}")
    yield acting(settings, checkpoints.put_clone_back, environment=environment, saved=saved)


@operation()
def namespaces(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Remove from the namespaces of environments what Flux has not applied, resume what is suspended,
    and complete the deletion of namespaces where it hangs.

    + settings: the lab's settings
    + environments: the environments to reset
    """
    left = standing(settings, environments)
    found = look(settings, obstacles, environments=left)
    problems = {
        one.id: problem for one in left if (problem := hopeless(one, found.get(one.id))) is not None
    }
    plans = {one.id: environment_plan(found[one.id]) for one in left if one.id not in problems}
    astray = [one for one in left if plans.get(one.id)]
    if not astray and not problems:
        host.noop("the namespaces hold what Flux applied, and nothing else")
        return
    for learner, sentences in plans.items():
        for sentence in sentences:
            note(f"{learner}: {sentence}")
    yield from failing(settings, problems)
    if astray:
        yield acting(settings, clearing.clear, environments=astray)


def standing(settings: Settings, environments: Sequence[Environment]) -> list[Environment]:
    """Return the environments that have not failed in this run."""
    failures = look(settings, seat_failures)
    return [one for one in environments if one.id not in failures]


@operation()
def reconciliation(
    settings: Settings, environments: Sequence[Environment], checkpoint: str
) -> Commands:
    """
    Wait until Flux has applied the repositories as they are now, and done all it was asked for.

    + settings: the lab's settings
    + environments: the environments to wait for
    + checkpoint: the checkpoint that the repositories are at; at `done`, the cluster also has to
        have the Secret of the chapter
    """
    left = standing(settings, environments)
    secrets = awaited_secrets(checkpoint)
    found = look(settings, deliveries, environments=left, secrets=secrets)
    seats = [one for one in left if one.is_seat]
    canaries = look(settings, canary_states, environments=seats) if seats else {}
    waiting = [
        one
        for one in left
        if found.get(one.id) != [] or (one in seats and canaries.get(one.id) != PROVEN)
    ]
    if not waiting:
        host.noop("Flux has applied what the repositories hold")
        return
    yield acting(settings, delivery.reconcile, environments=waiting, secrets=secrets)
