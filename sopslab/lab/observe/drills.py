"""Which drills are staged, and whether main still has them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.incidents.leak import leak_dir, read_staged
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.observe.copies import bring
from sopslab.lab.tools.git import MAIN
from sopslab.lab.tools.programs import Failed
from sopslab.model.drills import DrillState, Staged


def drill_states(lab: Lab, environments: list[Environment]) -> dict[str, DrillState]:
    """Return the state of each leak that is staged, by the learner's id."""
    there = [one for one in environments if Path(leak_dir(lab, one.id)).is_dir()]
    bring(lab, there)
    return {one.id: _state(lab, one) for one in there}


def _state(lab: Lab, environment: Environment) -> DrillState:
    staged = note_of(lab, environment)
    if staged is None:
        return DrillState(None, False)
    repository = Repository(lab, environment)
    # If another Git server does not answer, what was fetched last counts.
    with suppress(Failed):
        repository.refresh()
    return DrillState(staged, repository.git.is_ancestor(staged.fixed, MAIN))


def note_of(lab: Lab, environment: Environment) -> Staged | None:
    """Return what is staged in an environment according to the lab's note; None if the note is
    missing or cannot be read."""
    with suppress(LabError):
        return read_staged(lab, environment.id)
    return None
