"""Operations on drills: stage the leak of the chapter in an environment, and remove it."""

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
    Stage the leak of the chapter: commit a value to main in plain text, revert the commit, and
    commit the same value encrypted. Also make a log and a clone that hold the value.

    + settings: the lab's settings
    + environment: the learner's
    + text: the files of the briefing
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
    End the drills in environments: put main back to where it was before the drill, and remove the
    branches, the log, the clone and the incident of the drill. Commits on top of the leak are kept
    in a bundle.

    + settings: the lab's settings
    + environments: the environments whose drills end
    + saved: the branch for commits of the learner's clone that were not pushed
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
        # The record of the drill goes last, so that after an interruption the next run repeats all.
        yield script('rm -rf "$@"', *(leak_dir(settings, one.id) for one in done))
