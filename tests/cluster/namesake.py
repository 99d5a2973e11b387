"""Another lab of the same name: another instructor's, on another machine, on the same cluster."""

from __future__ import annotations

from pathlib import Path

from sopslab.checks.class_clusters import find_class_problems
from sopslab.checks.clusters import find_problems, refused
from sopslab.files.seat_limits import seat_limits
from sopslab.lab.act import existing
from sopslab.lab.observe.brought import brought
from sopslab.lab.observe.existing import cluster_traits
from tests.cluster.lab import Lab


def namesake(lab: Lab, folder: Path) -> Lab:
    """Return such a lab, whose instructor owns the cluster; its tools are those of this machine.

    Its containers would have the names of the other one's, so no `up` and no `down` of it is run
    here: what these do in the cluster is called by itself.
    """
    root = folder / "root"
    root.mkdir()
    (root / "bin").symlink_to(lab.settings.bin_dir)
    return Lab(lab.name, folder, dict(lab.data), root=str(root))


def refusals(lab: Lab, seats: list[str]) -> list[str]:
    """Return the sentences with which the cluster is refused to a class of these seats."""
    settings = lab.settings
    traits = cluster_traits(settings.for_machine, str(settings.kubeconfig), seats)
    problems = find_problems(traits)
    problems += find_class_problems(traits, len(seats), seat_limits())
    return refused(problems, frozenset())


def leave(lab: Lab) -> None:
    """Do all that `down` does to the cluster, by a lab that was taken to it and has its id."""
    machine = lab.settings.for_machine
    existing.take_on(machine, str(lab.settings.kubeconfig))
    assert brought(machine) == {}
    existing.leave(machine)
