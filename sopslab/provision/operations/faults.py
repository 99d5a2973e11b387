"""Operations that break environments for practice, and repair them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.chapter import SECRET
from sopslab.course.fault_record import Injection
from sopslab.course.faults import BY_ID, Part, clash, injectable
from sopslab.files.events import note
from sopslab.lab.act import faults as lab_faults
from sopslab.lab.act import mistakes
from sopslab.lab.observe.exercise import exercise_on_main
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.faults import record_file
from sopslab.model.faults import Mistake
from sopslab.provision.command import Commands, acting, refusal, script
from sopslab.provision.known import enrolled, injections
from sopslab.provision.look import look
from sopslab.provision.operations import flux, kubernetes, reset
from sopslab.provision.operations.seats import failing

# What Flux gets from the store again. If the cluster refuses it for a seat, that seat has failed.
_FROM_STORE = {Part.KEY, Part.LOGIN}


@operation()
def injection(settings: Settings, environment: Environment, faults: Sequence[str]) -> Commands:
    """
    Break an environment with faults for its learner to find. The exercise has to be done in it,
    because otherwise there is nothing to break.

    + settings: the lab's settings
    + environment: the learner's
    + faults: the ids of the faults
    """
    learner = environment.id
    in_class = bool(enrolled(settings))
    allowed = injectable(seat=environment.is_seat, in_class=in_class)
    for fault in faults:
        if BY_ID[fault] not in allowed:
            yield refusal(f"{fault} would reach the whole class")
            return
    records = injections(settings, [environment])
    known = records.get(learner, {})
    if known is None:
        yield refusal(_damaged(settings, environment))
        return
    missing = [fault for fault in faults if fault not in known or not known[fault].done]
    if not missing:
        host.noop("the environment is broken as wanted")
        return
    mixed = clash([*known, *faults])
    if mixed is not None:
        yield refusal(f"{mixed}: `sopslab fix {learner}` first")
        return
    exercise = look(settings, exercise_on_main, environment=environment, secret=SECRET)
    if exercise.problem is not None:
        yield refusal(exercise.problem)
        return
    if not exercise.done and not any(BY_ID[fault].in_git for fault in known):
        yield refusal(
            f"the exercise of {learner} is not done, so there is nothing to break yet:"
            f" `sopslab reset {learner} --to done` does it"
        )
        return
    # The faults travel on standard input, so that no log shows them.
    yield acting(
        settings,
        lab_faults.inject,
        environment=environment,
        faults={fault: known[fault].commit if fault in known else None for fault in missing},
    )


@operation()
def removal(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Undo the faults that were injected into environments, whatever has changed there since then. An
    environment whose record is damaged fails, and the others go on.

    + settings: the lab's settings
    + environments: the environments to repair
    """
    records = injections(settings, environments)
    broken = [one for one in environments if one.id in records]
    if not broken:
        host.noop("nothing is injected")
        return
    damaged = [one for one in broken if records[one.id] is None]
    yield from failing(settings, {one.id: _damaged(settings, one) for one in damaged})
    for environment in broken:
        record = records[environment.id]
        if record is not None:
            note(f"{environment.id}: {', '.join(record)}")
            yield from _undo(settings, environment, record)


def _damaged(settings: Settings, environment: Environment) -> str:
    return (
        f"{record_file(settings, environment)} is damaged, and does not say what is broken: put"
        f" everything back with `sopslab reset {environment.id}`, then remove it"
    )


def _parts(record: Mapping[str, Injection]) -> set[Part]:
    """Return what the faults of a record change."""
    return {BY_ID[fault].part for fault in record}


def _undo(
    settings: Settings, environment: Environment, record: Mapping[str, Injection]
) -> Commands:
    parts = _parts(record)
    committed = [
        Mistake(injection.commit, BY_ID[fault].exposes)
        # The last commit is taken back first, because it may build on the others.
        for fault, injection in reversed(list(record.items()))
        if injection.commit is not None
    ]
    if committed:
        yield acting(settings, mistakes.take_back, environment=environment, mistakes=committed)
    if parts & _FROM_STORE:
        # The store has the right key, whatever the fault has put into the cluster.
        stored = settings.model_copy(update={"key_from": "store"})
        yield from flux.secrets._inner(settings=stored, environments=[environment])
    if Part.CONTROLLER in parts:
        yield from kubernetes.manifests._inner(
            settings=settings, path=f"{settings.manifests_dir}/components.yaml"
        )
    yield acting(
        settings,
        lab_faults.mend,
        environment=environment,
        faults=[fault for fault in record if not BY_ID[fault].in_git],
    )


@operation()
def reconciliation(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Wait until Flux has applied the repositories of environments whose faults were undone.

    + settings: the lab's settings
    + environments: the environments to wait for
    """
    records = injections(settings, environments)
    mended = [one for one in environments if records.get(one.id) is not None]
    if not mended:
        host.noop("nothing was injected")
        return
    yield from reset.reconciliation._inner(
        settings=settings, environments=mended, checkpoint="start"
    )


@operation()
def records(settings: Settings, environments: Sequence[Environment]) -> Commands:
    """
    Remove the records of faults that were undone. A record stays if it is damaged, or if the seat
    did not get its key or login back: the next `fix` goes on from it.

    + settings: the lab's settings
    + environments: the environments whose faults were to be undone
    """
    records = injections(settings, environments)
    if not records:
        host.noop("nothing is written down")
        return
    failed = look(settings, seat_failures)
    undone = [
        one
        for one in environments
        if (record := records.get(one.id)) is not None
        and not (one.id in failed and _parts(record) & _FROM_STORE)
    ]
    if not undone:
        host.noop("what is written down was not undone")
        return
    yield script('rm -f "$@"', *(record_file(settings, one) for one in undone))
