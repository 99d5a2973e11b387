"""How the learner's clone compares with the repository."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.tools.git import MAIN, Git
from sopslab.model.repositories import CloneStanding


def clone_standing(lab: Lab, environment: Environment) -> CloneStanding | None:
    """Return how the learner's clone compares with main of the repository; None if there is no
    clone, or no main."""
    if not Path(lab.work_dir, ".git").is_dir():
        return None
    repository = Git(lab, bare_repository(lab, environment))
    main = repository.commit(MAIN)
    if main is None:
        return None
    # With the repository's objects, the clone can be compared without fetching anything.
    work = Git(lab, lab.work_dir, work=True, objects=repository.folder / "objects")
    head = work.commit("HEAD")
    if head == main:
        return CloneStanding.SAME
    follows = (
        head is not None
        and work.branch == MAIN
        and not work.text("status", "--porcelain")
        and work.is_ancestor(head, main)
    )
    return CloneStanding.BEHIND if follows else CloneStanding.APART
