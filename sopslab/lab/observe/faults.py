"""The records of the faults that were injected into environments."""

from __future__ import annotations

from sopslab.config.environment import Environment
from sopslab.config.places import Lab, Places
from sopslab.lab.tools import files


def record_file(places: Places, environment: Environment) -> str:
    """Return the file that records what is broken in an environment."""
    return f"{places.lab_dir}/faults/{environment.id}"


def fault_records(lab: Lab, environments: list[Environment]) -> dict[str, str]:
    """Return the records of the environments that are broken, by the learner's id.

    The records are not decoded here: this result may be logged, and a log must not show the answer
    of an exam.
    """
    paths = {one.id: record_file(lab, one) for one in environments}
    return {
        learner: (files.read(path) or b"").decode("ascii", "replace")
        for learner, path in paths.items()
        if files.has_content(path)
    }
