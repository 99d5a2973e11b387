"""Inject faults into an environment to practise on, and undo them."""

from __future__ import annotations

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.fault_record import Injection, parse_record, render_record
from sopslab.course.faults import BY_ID
from sopslab.errors import LabError
from sopslab.lab.act import mistakes
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.flux_objects import FluxObjects
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.observe.faults import record_file
from sopslab.lab.tools import files


def inject(lab: Lab, environment: Environment, faults: dict[str, str | None]) -> None:
    """Break an environment with faults. Raises LabError if that cannot be done.

    + faults: the ids of the faults, each with the commit that an earlier run made for it, if one
      did
    """
    objects = FluxObjects(lab, environment)
    in_cluster = [fault for fault in faults if not BY_ID[fault].in_git]
    if in_cluster:
        objects.require_cluster()
    for fault in in_cluster:
        # Recorded before something is broken, and again afterwards: if a run is killed in between,
        # the next one goes on from here, or undoes the fault.
        _remember(lab, environment, fault, Injection(done=False))
        objects.inflict(fault)
        _remember(lab, environment, fault, Injection(done=True))
    for fault, known in faults.items():
        if BY_ID[fault].in_git:
            _commit(lab, environment, fault, known)
    objects.require_cluster()
    objects.reconcile()


def _commit(lab: Lab, environment: Environment, fault: str, known: str | None) -> None:
    with worked_on(lab, [environment]):
        repository = Repository(lab, environment)
        repository.refresh()
        main = mistakes.checked_main(repository)
        commit = known
        if commit is None or not mistakes.fits(repository, main, commit):
            commit = mistakes.make(lab, environment, repository, main, fault)
        _remember(lab, environment, fault, Injection(done=False, commit=commit))
        mistakes.put_on_main(repository, main, commit)
    _remember(lab, environment, fault, Injection(done=True, commit=commit))


def _remember(lab: Lab, environment: Environment, fault: str, injection: Injection) -> None:
    path = record_file(lab, environment)
    text = files.read(path)
    try:
        known = parse_record(text.decode("ascii", "replace")) if text else {}
    except ValueError:
        raise LabError(f"{path} is damaged") from None
    files.write(path, render_record({**known, fault: injection}))


def mend(lab: Lab, environment: Environment, faults: list[str]) -> None:
    """Restore Flux's objects to what they were before faults, and ask Flux to look at them again.
    Raises LabError if the cluster does not answer.

    + faults: the ids of the faults; those in keys and credentials are undone elsewhere
    """
    objects = FluxObjects(lab, environment)
    objects.require_cluster()
    for fault in faults:
        objects.mend(fault)
    objects.reconcile()
