"""Which environments have all that an environment begins with."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.git import MAIN, Git, list_remote
from sopslab.lab.tools.programs import Failed


def begun_environments(lab: Lab, environments: list[Environment]) -> list[str]:
    """Return the ids of the environments whose repository has its first commit; a seat has begun
    if its canary is known by its hash, too."""
    has_commit = _begins if lab.git_url is None else _is_served
    return [
        one.id
        for one in environments
        if (not one.is_seat or has_content(Path(lab.seat_dir(one.id), "canary")))
        and has_commit(lab, one)
    ]


def _begins(lab: Lab, environment: Environment) -> bool:
    git = Git(lab, bare_repository(lab, environment))
    # A branch main without its start is the learner's as well.
    return git.folder.is_dir() and any(git.commit(ref) for ref in (START, MAIN))


def _is_served(lab: Lab, environment: Environment) -> bool:
    """Whether a Git server that is not ours has a branch main, asked as Flux asks it."""
    login = lab.login_file(INSTRUCTOR)
    url = f"{lab.git_base_url}/{environment.repository}.git"
    try:
        return has_content(login) and bool(list_remote(lab, url, login, MAIN))
    except Failed:
        return False
