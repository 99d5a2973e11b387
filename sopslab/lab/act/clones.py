"""Bring the learner's clone up to date with the repository."""

from __future__ import annotations

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git


def fetched(lab: Lab, environment: Environment) -> Git:
    """Return the learner's clone, after it has fetched the branches of the repository. Raises
    Failed."""
    work = Git(lab, lab.work_dir, work=True)
    # A branch that is gone may be in the way of another one: `saved` of `saved/…`.
    work.run(
        "fetch", "--quiet", "--prune", bare_repository(lab, environment),
        "+refs/heads/*:refs/remotes/origin/*",
    )  # fmt: skip
    return work


def follow(lab: Lab, environment: Environment) -> None:
    """Fast-forward the learner's clone to the main of the repository. Raises Failed if that is not
    possible."""
    fetched(lab, environment).run("merge", "--quiet", "--ff-only", "refs/remotes/origin/main")
