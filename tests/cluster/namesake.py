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
    """Return another lab of this name, whose instructor owns the cluster and has this machine's
    tools.

    Its containers would have the names of the first lab's, so tests run neither `up` nor `down` on
    it: they call the code that these run in the cluster.
    """
    root = folder / "root"
    root.mkdir()
    (root / "bin").symlink_to(lab.settings.bin_dir)
    return Lab(lab.name, folder, dict(lab.data), root=str(root))


def refusals(lab: Lab, seats: list[str]) -> list[str]:
    """Return the sentences with which a class of these seats is refused the cluster."""
    settings = lab.settings
    traits = cluster_traits(settings.for_machine, str(settings.kubeconfig), seats)
    problems = find_problems(traits)
    problems += find_class_problems(traits, seat_limits())
    return refused(problems, frozenset())


def leave(lab: Lab) -> None:
    """Do to the cluster all that `down` does, after the lab has taken the cluster and has an id."""
    machine = lab.settings.for_machine
    existing.take_on(machine, str(lab.settings.kubeconfig))
    assert brought(machine) == {}
    existing.leave(machine)
