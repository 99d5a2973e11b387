"""What can be read with a login of the Git server."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import list_remote
from sopslab.lab.tools.programs import Failed


def refusal(lab: Lab, login: str | Path, repository: str) -> Failed | None:
    """Return how reading a repository with a login failed; None if it succeeded.

    + login: a file in the format of git's credential store
    + repository: its path on the Git server, without `.git`
    """
    try:
        list_remote(lab, f"{lab.git_base_url}/{repository}.git", str(login))
    except Failed as failure:
        return failure
    return None


def is_of_login(failure: Failed) -> bool:
    """Return whether reading failed because the Git server refused the login."""
    return b"Authentication failed" in failure.words
