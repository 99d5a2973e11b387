"""Prune seats, so that nothing of them is left in the cluster or on the Git server.

Flux removes what it applied; keys, Git data and access are archived, because they exist only once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sopslab.checks.namespaces import InTheWay
from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.incidents.leak import leak_dir
from sopslab.lab.act import accounts, repositories
from sopslab.lab.act.clearing import clear_away
from sopslab.lab.act.copies import archivable
from sopslab.lab.act.enrolling import record
from sopslab.lab.act.served import forget
from sopslab.lab.observe.faults import record_file
from sopslab.lab.observe.namespaces import look
from sopslab.lab.tools.files import archive, private_folder
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Undecided


def prune(lab: Lab, environments: list[Environment], roster: str, patience: int) -> None:
    """Remove seats from the cluster and the Git server. Raises Failed, and LabError if Flux does
    not remove them or a repository cannot be fetched for the archive.

    + environments: the environments of the seats
    + roster: who has a seat afterwards, in the form in which that is recorded
    + patience: how many seconds Flux may take
    """
    now, ids = int(time.time()), [one.id for one in environments]
    # What can be made anew goes first: learners who log in meanwhile get no kubeconfig any more.
    forget(lab, ids)
    archives = [(one, Path(lab.pruned_dir, f"{one.id}-{now}")) for one in environments]
    # A board that runs meanwhile would fetch from the cluster what has just been archived, and a
    # later learner with that id would be given it.
    with archivable(lab, environments):
        for one, to in archives:
            _archive_repository(lab, one, to)
        # This removes them in the cluster; on this machine they have been archived.
        repositories.remove(lab, ids)
    for one, to in archives:
        _archive(lab, one, to)
        accounts.remove(lab, [one.id])
    _await_end(lab, environments, patience)
    # Pruned seats stay on record until nothing of them is left, because a run may be killed before.
    record(lab, roster)


def _archive_repository(lab: Lab, environment: Environment, to: Path) -> None:
    private_folder(to)
    archive(f"{lab.git_dir}/repositories/{environment.id}", to / "repositories")


def _archive(lab: Lab, environment: Environment, to: Path) -> None:
    """Move all other files of a seat into its archive, so that a later learner with the same id
    gets none of them.

    The repository goes before all of them, and the key last: if only half of this happens and the
    seat comes back, its new repository is encrypted to the key that is still there.
    """
    seat = environment.id
    archive(record_file(lab, environment), to / "faults")
    archive(leak_dir(lab, seat), to / "drill")
    archive(lab.account_dir(seat), to / "credentials")
    archive(lab.seat_dir(seat), to / "access")
    archive(lab.retired_dir(seat), to / "retired")
    for kind in ("pub", "agekey"):
        archive(f"{lab.keys_dir}/next/{seat}.{kind}", to / f"next-{seat}.{kind}")
    for kind in ("pub", "agekey"):
        archive(f"{lab.keys_dir}/{seat}.{kind}", to / f"{seat}.{kind}")


def _await_end(lab: Lab, environments: list[Environment], patience: int) -> None:
    spaces = [f"namespace/{name}" for one in environments for name in (one.system, one.namespace)]
    cluster, deadline = Kubectl(lab), Deadline(patience)
    while not cluster.succeeds("wait", "--for=delete", *spaces, "--timeout", "10s"):
        if deadline.is_over:
            raise LabError(
                f"Flux did not remove the namespaces {' '.join(spaces)} within {patience} s: look"
                " at `kubectl get kustomizations --all-namespaces`"
            )
        # What was left in them may wait for a controller that never comes.
        with suppress(Undecided):
            clear_away(lab, doomed(look(lab, environments).values()))


def doomed(found: Iterable[InTheWay]) -> list[InTheWay]:
    """Return, of what is in the way, only what holds up a namespace that is being deleted."""
    return [
        replace(one, suspended=(), strays=tuple(stray for stray in one.strays if stray.doomed))
        for one in found
    ]
