"""Bring the learner's clone up to date with the repository, if the clone has nothing of its own."""

from __future__ import annotations

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git


def follow(lab: Lab, environment: Environment) -> None:
    """Fast-forward the learner's clone to the main of the repository. Raises Failed if that is not
    possible."""
    work = Git(lab, lab.work_dir, work=True)
    branches = "+refs/heads/*:refs/remotes/origin/*"
    work.run("fetch", "--quiet", bare_repository(lab, environment), branches)
    work.run("merge", "--quiet", "--ff-only", "refs/remotes/origin/main")
