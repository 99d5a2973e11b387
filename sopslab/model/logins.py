"""Passwords of the Git server that are tried after they leaked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Login:
    """A user of the Git server, a repository that they may read, and the learner that it is for."""

    learner: str
    user: str
    repository: str
