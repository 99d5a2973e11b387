"""What a rotation compares with the cluster, and what it tries in its proof."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class Delivered:
    """A file that Flux applies: its path, the name of the Secret in it, and the identity of the
    store that decrypts it."""

    path: str
    secret: str
    key: str


class LiveValue(StrEnum):
    """Whether the cluster has the values of a file. A Secret that no kustomization lists is absent,
    which is not a fault."""

    SAME = "same"
    DIFFERS = "differs"
    ABSENT = "absent"


class LoginState(StrEnum):
    """The state of a leaked password: not kept yet, kept and still in use, or replaced."""

    UNKEPT = "unkept"
    KEPT = "kept"
    REPLACED = "replaced"


@dataclass(frozen=True)
class Attempt:
    """An attempt to decrypt a file, and the exit code that sops has to end with (`right`).

    `identity` is the path of an identity's file. `content` is the encrypted text, which is no
    secret.
    """

    learner: str
    what: str
    identity: str
    right: int
    content: str = field(repr=False)


@dataclass(frozen=True)
class Login:
    """A user of the Git server, a repository that the user may read, and the learner whose rotation
    it is."""

    learner: str
    user: str
    repository: str
