"""What a rotation compares with the cluster, and tries in its proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class Delivered:
    """A file that Flux applies: its path, the Secret that comes of it, and the identity of the
    store that opens it."""

    path: str
    secret: str
    key: str


class LiveValue(StrEnum):
    """Whether the cluster has what a file says. What is in no kustomization is absent, and that is
    nobody's fault."""

    SAME = "same"
    DIFFERS = "differs"
    ABSENT = "absent"


class LoginState(StrEnum):
    """What became of a password that leaked: not kept yet, kept and still the present one, or
    replaced."""

    UNKEPT = "unkept"
    KEPT = "kept"
    REPLACED = "replaced"


@dataclass(frozen=True)
class Attempt:
    """An attempt to open a file, and how sops has to end it.

    `identity` is the file of an identity, `content` what it is to open, which is no secret.
    """

    learner: str
    what: str
    identity: str
    right: int
    content: str = field(repr=False)


@dataclass(frozen=True)
class Login:
    """A user of the Git server, a repository that they may read, and the learner that it is for."""

    learner: str
    user: str
    repository: str
