"""What the policy finds in the history of an environment's repository, as exposures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.environment import Environment, bare_repository
from sopslab.incidents.exposures import exposures
from sopslab.incidents.records import Exposure
from sopslab.lab.observe.checkpoints import unfetched
from sopslab.lab.tools.programs import git_environment
from sopslab.model.results import Undecided
from sopslab.policy import callers
from sopslab.policy.findings import Finding
from sopslab.policy.sources import Repository

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


def find_exposures(settings: Settings, environment: Environment) -> tuple[Exposure, ...]:
    """Return where values lie in plain text, on the Git server and in the lab's clone.

    Raises Undecided where a history could not be searched.
    """
    if problem := unfetched(settings.for_machine, environment):
        raise Undecided(f"the history of {environment.repository} could not be searched: {problem}")
    found: set[Exposure] = set()
    for folder in _places(settings, environment):
        git = Repository(str(folder), git_environment())
        try:
            findings = search(folder)
            found.update(exposures(environment.repository, findings, git.read))
        finally:
            git.close()
    return tuple(sorted(found))


def search(folder: Path) -> list[Finding]:
    """Return what the policy finds in the history of a repository. Raises Undecided."""
    report = callers.history(str(folder))
    if report.undecided:
        raise Undecided(f"the history of {folder} could not be searched: {report.undecided[0]}")
    return report.findings


def _places(settings: Settings, environment: Environment) -> list[Path]:
    places = [Path(bare_repository(settings, environment))]
    if not environment.is_seat:
        places.append(Path(settings.work_dir))
    return [place for place in places if place.exists()]
