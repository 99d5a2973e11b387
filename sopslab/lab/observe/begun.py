"""Which environments have everything that an environment begins with, and to which recipients their
canary is encrypted."""

from __future__ import annotations

import re
from pathlib import Path

from sopslab.config.environment import Environment
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.lab.observe.checkpoints import START, Repository
from sopslab.lab.observe.copies import bring
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.git import MAIN, list_remote
from sopslab.lab.tools.programs import Failed
from sopslab.layout import CANARY_PATH

# As sops writes a recipient into a file. The canary of the first commit is the lab's own.
_RECIPIENT = re.compile(rb"^ *-? *recipient: (age1\w+)$", re.MULTILINE)


def begun_environments(lab: Lab, environments: list[Environment]) -> dict[str, list[str]]:
    """Return the environments whose repository has its first commit, by the learner's id, each with
    the recipients of the canary in that commit. The list of recipients is empty if they cannot be
    read. For a seat, the lab must also have stored the hash of the canary."""
    began = _began if lab.git_url is None else _began_elsewhere
    unknown = bring(lab, environments)
    found = {
        one.id: began(lab, one)
        for one in environments
        if one.id not in unknown
        and (not one.is_seat or has_content(Path(lab.seat_dir(one.id), "canary")))
    }
    return {learner: recipients for learner, recipients in found.items() if recipients is not None}


def _began(lab: Lab, environment: Environment) -> list[str] | None:
    repository = Repository(lab, environment)
    if not repository.git.folder.is_dir():
        return None
    # In the normal case, this one process of git answers everything.
    canary = repository.git.blob(START, CANARY_PATH)
    if canary is not None:
        return _recipients(canary)
    # A repository with a branch main has begun too, even if the ref of its start is missing.
    return [] if any(repository.git.commit(ref) for ref in (START, MAIN)) else None


def _began_elsewhere(lab: Lab, environment: Environment) -> list[str] | None:
    """Return the same as `_began` for a Git server that is not the lab's own. It is asked over
    HTTP, as Flux asks it."""
    login = lab.login_file(INSTRUCTOR)
    repository = Repository(lab, environment)
    try:
        url = f"{lab.git_base_url}/{environment.repository}.git"
        if not has_content(login) or not list_remote(lab, url, login, MAIN):
            return None
        repository.refresh()
    except Failed:
        return None
    start = repository.start
    return [] if start is None else _recipients(repository.git.blob(start, CANARY_PATH) or b"")


def _recipients(canary: bytes) -> list[str]:
    return [found.decode("ascii") for found in _RECIPIENT.findall(canary)]
