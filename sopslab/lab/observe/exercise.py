"""How far a learner has got with the exercise."""

from __future__ import annotations

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.listing import read_list
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.observe.copies import bring
from sopslab.lab.tools.git import MAIN
from sopslab.layout import LIST_PATH, SECRETS_DIR
from sopslab.model.faults import Exercise


def exercise_on_main(lab: Lab, environment: Environment, secret: str) -> Exercise:
    """Return how far the exercise has got on main of a learner's repository.

    + secret: the name of the exercise's Secret
    """
    repository = Repository(lab, environment)
    problem = bring(lab, [environment]).get(environment.id) or repository.problem()
    if problem is not None:
        return Exercise(problem=problem)
    git = repository.git
    listing = git.blob(MAIN, LIST_PATH) or b""
    return Exercise(
        git.blob(MAIN, f"{SECRETS_DIR}/{secret}.yaml") is not None,
        f"{secret}.yaml" in (read_list(listing) or ()),
    )
