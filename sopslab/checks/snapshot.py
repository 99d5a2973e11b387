"""One look at one environment and at what it depends on, as every verb judges it.

Each facet is what was seen, or the reason why it was not: `Undecided`, also if nobody asked for it.
It is not in `model`, which is below policy and records, because it contains their results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from sopslab.config.environment import Environment
from sopslab.course.chapter import Chapter
from sopslab.model.objects import Live, Object
from sopslab.model.results import Undecided
from sopslab.policy.findings import Report

if TYPE_CHECKING:
    # It imports pydantic, which a look does not need.
    from sopslab.incidents.records import Incident

T = TypeVar("T")


def known(facet: T | Undecided) -> T:
    """Return what was seen. Raises Undecided for what was not."""
    if isinstance(facet, Undecided):
        # A reason may be raised many times, and would collect the tracebacks.
        raise facet.with_traceback(None)
    return facet


# The lab's machine


@dataclass(frozen=True)
class Tool:
    """A tool of the lab, and what the learner's shell finds by its name.

    `version` is None if it cannot be run; `first` is the path of another program that comes earlier
    in PATH, and `in_path` is whether PATH has one at all.
    """

    name: str
    wanted: str
    version: str | None
    in_path: bool = True
    first: str | None = None
    first_version: str | None = None


class Part(Enum):
    """How a file on which the Git server depends differs from ours."""

    SAME = "same"
    MISSING = "missing"
    OTHER = "other"


@dataclass(frozen=True)
class Guard:
    """What checks each push to the lab's own Git server."""

    hooks_path: str | None
    hook: Part
    policy: Part


@dataclass(frozen=True)
class GitServer:
    """The Git server, as this machine reaches it.

    `answer` is the HTTP status without a login, None without an answer; `guard` is None if the
    server is not the lab's own.
    """

    url: str
    answer: int | None
    guard: Guard | None = None


@dataclass(frozen=True)
class Identity:
    """A key file of the store: its public key, or why it cannot be used, with the fix."""

    recipient: str | None = None
    problem: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Hooks:
    """The commit hooks: whether Git runs pre-commit, and the ids of hooks that are not configured
    as given.

    `configured` is False if .pre-commit-config.yaml is missing or cannot be read; `install` is the
    command that installs them.
    """

    path: str
    runs_pre_commit: bool = True
    configured: bool = True
    missing: Sequence[str] = ()
    install: str = ""


# The cluster


class Trouble(Enum):
    """Why a cluster cannot be asked, in words for a sentence."""

    NO_KUBECTL = "kubectl cannot be run"
    NO_KUBECONFIG = "there is no cluster of this lab on this machine yet"
    BAD_KUBECONFIG = "the lab's kubeconfig has no usable context for the cluster"
    REFUSED = "nothing answers at the address of the cluster's API server"
    SILENT = "the cluster's API server does not answer in time"
    CERTIFICATE = "the cluster's certificate does not fit the lab's kubeconfig"
    DENIED = "the cluster refuses the credentials of the lab's kubeconfig"
    UNWELL = "the cluster's API server says that it is not ready"


@dataclass(frozen=True)
class Cluster:
    """Whether the API server answers, and the nodes if it does."""

    trouble: Trouble | None = None
    nodes: Sequence[Object] = ()


class Entry(Enum):
    """Why an entry of sops-age has no key."""

    EMPTY = "is empty"
    INVALID = "holds no valid age identity"


@dataclass(frozen=True)
class ClusterKey:
    """The Secret sops-age: for each entry its public keys, or why it has none."""

    present: bool
    entries: Mapping[str, frozenset[str] | Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Login:
    """The credential with which Flux reads Git, and the Git server's answer to it.

    `answer` is an HTTP status, None without an answer; `ours` is whether it is the credential that
    the lab has stored in the folder `account`.
    """

    answer: int | None
    ours: bool
    account: str


@dataclass(frozen=True)
class LiveSecret:
    """A Secret in the learner's namespace, without its values.

    `digests` has the SHA-256 of each value; `owner` is the Kustomization that applied it, as
    `namespace/name`, empty without one; `left_alone` is whether an annotation tells Flux to leave
    it as it is.
    """

    keys: Set[str]
    digests: Mapping[str, str] | Undecided
    owner: str = ""
    left_alone: bool = False


# Git


@dataclass(frozen=True)
class Branches:
    """The branches of the learner's repository: the commit of main, None without it, and whether
    there is any branch."""

    main: str | None = None
    empty: bool = False


class Opened(Enum):
    """The result of decrypting a file with the environment's key."""

    YES = "yes"
    MAC = "mac"
    KEY = "key"
    NO = "no"


NOT_OPENED = Undecided("no file was decrypted, so it is not known whether one was changed")


@dataclass(frozen=True)
class Manifest:
    """A Secret in the environment's folder.

    `recipients` is None without a sops block; `plain` has the keys of values in plain text, `keys`
    all keys. `opened` is the result of sops; if it was opened, `digests` has the SHA-256 of each
    value, and `misfits` the values that Kubernetes would refuse.
    """

    name: str
    namespace: str
    keys: Set[str] = frozenset()
    recipients: frozenset[str] | None = None
    regex: str | None = None
    plain: Sequence[str] = ()
    opened: Opened | Undecided = NOT_OPENED
    digests: Mapping[str, str] = field(default_factory=dict)
    misfits: Sequence[str] = ()


@dataclass(frozen=True)
class Rule:
    """The recipients of the chapter's file according to .sops.yaml, None if no rule matches."""

    there: bool
    recipients: frozenset[str] | None = None


@dataclass(frozen=True)
class Tree:
    """The chapter's files in a clone, or in a commit.

    `commit` is that of the tree, None before the first commit. `files` are the names in the
    environment's folder, empty without it; `manifests` the Secrets among them by name;
    `once_listed` the names that kustomization.yaml listed at any time. `rule` and `regex` are those
    of .sops.yaml for a new file there, and `unruled` says why they are not known. `report` is the
    policy's on all files in the folder of secrets.
    """

    commit: str | None
    files: Set[str] = frozenset()
    kustomization: str | None = None
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    once_listed: Set[str] | Undecided = frozenset()
    rule: Rule = field(default_factory=lambda: Rule(there=False))
    regex: str | None = None
    unruled: str = ""
    report: Report = field(default_factory=Report)


@dataclass(frozen=True)
class Commit:
    """What is committed: the paths with changes that are not, and whether HEAD has the file.

    `same` is whether the file in HEAD is the one in the clone; `head` is None before the first
    commit.
    """

    head: str | None
    changes: Sequence[str] = ()
    in_head: bool = True
    same: bool = True


class Relation(Enum):
    """How HEAD compares with the Git server's main."""

    SAME = "same"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Push:
    """How HEAD of the clone, on `branch`, compares with the Git server's main."""

    branch: str = "main"
    relation: Relation = Relation.SAME


@dataclass(frozen=True)
class History:
    """The policy's findings in the history of `repository`, and the incidents on record."""

    report: Report
    repository: str = ""
    incidents: Sequence[Incident] = ()


GOING = "Terminating"
"""The phase of a namespace that is being deleted."""

NOT_ASKED = Undecided("it was not looked at")
UNASKED = "the cluster cannot be asked"
NO_REPOSITORY = "the Git server does not have the repository"
NO_MAIN = "the repository has no branch main"


@dataclass(frozen=True, kw_only=True)
class InCluster:
    """What the cluster has of an environment.

    Objects of one of Flux's kinds are None if the cluster does not know the kind; `platform` has
    the Kustomizations and sources that make the environment, `namespaces` phases by name. `login`
    is None without that Secret. `stored` is whether the source controller has the artifact that the
    source names, None if it names none. `contents` are the objects in the environment's own
    namespaces.
    """

    cluster: Cluster | Undecided = NOT_ASKED
    controllers: Sequence[Object] | Undecided = NOT_ASKED
    sources: Sequence[Object] | Undecided | None = NOT_ASKED
    kustomizations: Sequence[Object] | Undecided | None = NOT_ASKED
    receivers: Sequence[Object] | Undecided | None = NOT_ASKED
    platform: Sequence[Object] | Undecided = NOT_ASKED
    namespaces: Mapping[str, str] | Undecided = NOT_ASKED
    key: ClusterKey | Undecided = NOT_ASKED
    login: Login | Undecided | None = NOT_ASKED
    stored: bool | Undecided | None = NOT_ASKED
    live: Mapping[str, LiveSecret] | Undecided = NOT_ASKED
    contents: Live | Undecided = NOT_ASKED


@dataclass(frozen=True)
class Snapshot(InCluster):
    """One look at an environment.

    `url` is where Flux is to read the repository. `tree` is what is judged: main in general, the
    clone for the learner who works in it. `there` is whether the Git server has the repository;
    `hooks` is None if the clone is not on this machine, like a seat's. `expired` is until when the
    kubeconfig of a seat's learner was valid, None while it is.
    """

    environment: Environment
    chapter: Chapter
    url: str
    tools: Sequence[Tool] | Undecided = NOT_ASKED
    server: GitServer | Undecided = NOT_ASKED
    identity: Identity | Undecided = NOT_ASKED
    instructor: Identity | Undecided = NOT_ASKED
    there: bool | Undecided = NOT_ASKED
    branches: Branches | Undecided = NOT_ASKED
    tree: Tree | Undecided = NOT_ASKED
    hooks: Hooks | Undecided | None = NOT_ASKED
    commit: Commit | Undecided = NOT_ASKED
    push: Push | Undecided = NOT_ASKED
    history: History | Undecided = NOT_ASKED
    expired: str | Undecided | None = None


def unseen(seen: Snapshot, reason: Undecided) -> Snapshot:
    """Return a look at a cluster of which nothing was seen, with the reason."""
    hidden: dict[str, Any] = {facet.name: reason for facet in fields(InCluster)}
    return replace(seen, **hidden)
