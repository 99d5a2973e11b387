"""What the doctor has seen of one environment, and of what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TypeVar

from sopslab.checks.verification.cluster import Cluster, ClusterKey, Flux, Identity, Rule
from sopslab.checks.verification.repository import SecretFile
from sopslab.config.environment import Environment
from sopslab.course.chapter import Chapter
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

T = TypeVar("T")


@dataclass(frozen=True)
class Manifest:
    """A Secret on main.

    `recipients` are None without a sops block; `plain` are the keys of values in plain text.
    """

    file: SecretFile
    recipients: frozenset[str] | None = None
    regex: str | None = None
    plain: Sequence[str] = ()


@dataclass(frozen=True)
class Repository:
    """The learner's repository on the Git server.

    `main` is the commit of that branch, None without it; `empty` whether there is no branch at all.
    Of main: `files` are the names in the environment's folder, empty without it; `manifests` the
    Secrets among them by name; `once_listed` the names that kustomization.yaml listed at any time;
    `rule` and `regex` what .sops.yaml says of a new file there, or `unruled` why that is not known.
    """

    there: bool = True
    main: str | None = None
    empty: bool = False
    files: Set[str] = frozenset()
    kustomization: str | None = None
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    once_listed: Set[str] = frozenset()
    rule: Rule = field(default_factory=lambda: Rule(there=False))
    regex: str | None = None
    unruled: str = ""


@dataclass(frozen=True)
class Login:
    """The credential with which Flux reads Git, and what the Git server answers to it.

    `answer` is an HTTP status, None where it does not answer; `ours` tells whether it is the one
    that the lab has stored in the folder `account`.
    """

    answer: int | None
    ours: bool
    account: str


@dataclass(frozen=True)
class LiveSecret:
    """A Secret in the learner's namespace: the SHA-256 of each value, and whether an annotation
    tells Flux to leave it alone."""

    digests: Mapping[str, str]
    left_alone: bool = False


@dataclass(frozen=True)
class Objects:
    """What the cluster has of the environment.

    `flux` are the controllers, and the objects beside the environment's; `platform` the
    Kustomizations and sources that make the environment; `namespaces` phases by name; `login` is
    None without that Secret; `live` the Secrets in the learner's namespace, by hash; `stored` tells
    whether the source controller has the artifact that it names, None where that is not known.
    """

    flux: Flux
    platform: Sequence[Object]
    namespaces: Mapping[str, str]
    key: ClusterKey
    login: Login | None
    live: Mapping[str, LiveSecret]
    stored: bool | None = None


@dataclass(frozen=True)
class Seen:
    """One look at all of it. What could not be looked at is the reason for that."""

    environment: Environment
    chapter: Chapter
    url: str
    """Where Flux is to read the repository."""
    identity: Identity
    cluster: Cluster
    objects: Objects | Undecided
    repository: Repository | Undecided
    server: int | None
    """What the Git server answers to somebody unknown, an HTTP status; None without an answer."""
    command: str
    """The version of the command `flux`, empty if it is not known."""


def known(look: T | Undecided) -> T:
    """Return what was seen. Raises Undecided for what could not be looked at."""
    if isinstance(look, Undecided):
        raise look
    return look
