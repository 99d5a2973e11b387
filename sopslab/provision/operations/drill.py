"""Operations on drills: the leak of the chapter is staged in an environment, and removed."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.files.archive import Tree
from sopslab.files.events import note
from sopslab.incidents.leak import kept_dir, leak_dir, names_leak
from sopslab.lab.act import drills
from sopslab.lab.observe.drills import drill_states
from sopslab.lab.observe.failures import seat_failures
from sopslab.model.incidents import incident_path
from sopslab.provision.command import Commands, acting, script
from sopslab.provision.known import incidents
from sopslab.provision.look import look
from sopslab.provision.operations.incidents import documents


@operation()
def leak(settings: Settings, environment: Environment, text: Tree) -> Commands:
    """
    Stage the leak of the chapter: a value in plain text in the history of main, reverted and
    then encrypted as it was; and a log and a clone that hold it.

    + settings: the lab's settings
    + environment: whose
    + text: the files of its briefing
    """
    learner = environment.id
    found = look(settings, drill_states, environments=[environment]).get(learner)
    if found is not None and found.on_main:
        host.noop(f"the leak is staged for {learner}")
        return
    if found is not None and found.staged is not None:
        note("an earlier run was interrupted, or main was put back: the drill begins anew")
    yield acting(
        settings,
        drills.stage,
        environment=environment,
        text={path: file.content.decode() for path, file in text.items()},
    )


@operation()
def end(settings: Settings, environments: Sequence[Environment], saved: str) -> Commands:
    """
    End the drills in environments: main goes back to where it was, and no branch, log, clone or
    incident of the drill is left. Commits on top of the leak are kept in a bundle.

    + settings: the lab's settings
    + environments: whose
    + saved: the branch for commits of a clone that were not pushed
    """
    found = look(settings, drill_states, environments=list(environments))
    ending = [one for one in environments if one.id in found]
    if not ending:
        host.noop("no drill is staged")
        return
    for one in ending:
        note(f"{one.id}: the drill ends; commits on top of it go to {kept_dir(settings)}")
    yield acting(settings, drills.end, environments=ending, saved=saved)
    failures = look(settings, seat_failures)
    done = [one for one in ending if one.id not in failures]
    recorded = incidents(settings)
    gone = [
        incident_path(incident.id)
        for incident in recorded.values()
        for one in done
        if (state := found[one.id].staged) is not None
        and names_leak(incident, one.repository, state.leak)
    ]
    if gone:
        yield from documents._inner(settings=settings, records={}, gone=gone)
    if done:
        # Last, so that after an interruption the next run does everything again.
        yield script('rm -rf "$@"', *(leak_dir(settings, one.id) for one in done))
