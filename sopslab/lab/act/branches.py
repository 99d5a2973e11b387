"""Move branches of learners' repositories without losing what was pushed meanwhile."""

from __future__ import annotations

from sopslab.lab.observe.checkpoints import Repository


def move(repository: Repository, branch: str, to: str, before: str) -> None:
    """Move a branch to another commit, if it is still at the commit `before`. Raises Failed.

    Where the Git server is not the lab's own, the branch is moved on that server first.
    """
    if repository.url is not None:
        repository.git.push(repository.url, f"{to}:{branch}", lease=f"{branch}:{before}")
    repository.git.run("update-ref", branch, to, before)
