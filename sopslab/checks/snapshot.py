"""One look at one environment and at what it depends on. All verbs judge it in this form.

Each facet is what was seen, or an `Undecided` with the reason why it was not seen, which may be
that no verb asked for it. This module is not in `model`, because snapshots contain results of
policy and records, and `model` is below those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from sopslab.config.environment import Environment
from sopslab.course.chapter import Chapter
from sopslab.layout import KEY_ENTRY, NEXT_KEY_ENTRY
from sopslab.model.objects import Live, Object
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble
from sopslab.policy.findings import Report

if TYPE_CHECKING:
    # It imports pydantic, which a look does not need.
    from sopslab.incidents.records import Incident

T = TypeVar("T")


def known(facet: T | Undecided) -> T:
    """Return what was seen. Raises Undecided if it was not seen."""
    if isinstance(facet, Undecided):
        # The same exception may be raised many times, and would collect all the tracebacks.
        raise facet.with_traceback(None)
    return facet


# The lab's machine


@dataclass(frozen=True)
class Tool:
    """A tool of the lab, and what the learner's shell finds by its name.

    `version` is None if the lab's tool cannot be run. `in_path` is whether PATH has a program of
    this name at all. `first` is the path of another program that comes earlier in PATH than the
    lab's, and `first_version` is its version.
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

    `answer` is the HTTP status of a request without a login, None if the server does not answer.
    `guard` is None if the server is not the lab's own.
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
class Access:
    """What the lab has made for the learner of a seat: a kubeconfig, and a password for the Git
    server."""

    kubeconfig: bool
    password: bool


@dataclass(frozen=True)
class Hooks:
    """The commit hooks. `path` is the file that Git runs, and `runs_pre_commit` is whether it runs
    pre-commit.

    `configured` is False if .pre-commit-config.yaml is missing or cannot be read. `missing` has the
    ids of hooks that are not configured there as the lab gave them. `install` is the command that
    installs the hooks.
    """

    path: str
    runs_pre_commit: bool = True
    configured: bool = True
    missing: Sequence[str] = ()
    install: str = ""


# The cluster


@dataclass(frozen=True)
class Cluster:
    """Whether the API server answers, and the nodes if it does."""

    trouble: Trouble | None = None
    nodes: Sequence[Object] = ()


class Entry(Enum):
    """Why an entry of the Secret sops-age has no key."""

    EMPTY = "is empty"
    INVALID = "holds no valid age identity"


KEY_ENDING = ".agekey"
"""How the name of an entry ends that Flux reads."""


@dataclass(frozen=True)
class ClusterKey:
    """The Secret sops-age, with which Flux decrypts: for each entry its public keys, or why it has
    none. Flux reads every entry whose name ends in `.agekey`, and fails if one of them is damaged.
    """

    present: bool
    entries: Mapping[str, frozenset[str] | Entry] = field(default_factory=dict)

    @property
    def valid(self) -> dict[str, frozenset[str]]:
        """The public keys in the entries that Flux can read, by entry."""
        return {name: held for name, held in self._read if not isinstance(held, Entry)}

    @property
    def damaged(self) -> dict[str, Entry]:
        """Why Flux cannot use entries that it reads, by entry."""
        return {name: held for name, held in self._read if isinstance(held, Entry)}

    @property
    def recipients(self) -> frozenset[str]:
        """The public keys of all identities with which Flux decrypts."""
        return frozenset[str]().union(*self.valid.values())

    @property
    def kept(self) -> str | None:
        """The entry with the identity that a lab takes from the cluster if it has lost its own: the
        lab's entry, or another one that Flux can read, but not that of a successor. None without
        one."""
        found = [name for name in self.valid if name != NEXT_KEY_ENTRY]
        return KEY_ENTRY if KEY_ENTRY in found else next(iter(found), None)

    @property
    def problem(self) -> str | None:
        """Why Flux cannot decrypt with what is there, in words. Flux's own messages do not name
        these causes."""
        if self.damaged:
            return f"its entry {next(iter(self.damaged))} {Entry.INVALID.value}"
        if self.valid or not self.present:
            return None
        named = ", ".join(sorted(self.entries)) or "none"
        return (
            f"it lacks the entry {KEY_ENTRY} (it has: {named}); Flux reads what ends in"
            f" {KEY_ENDING}"
        )

    @property
    def _read(self) -> list[tuple[str, frozenset[str] | Entry]]:
        return [
            (name, held) for name, held in sorted(self.entries.items()) if name.endswith(KEY_ENDING)
        ]


@dataclass(frozen=True)
class Login:
    """The credential with which Flux reads Git, and the Git server's answer to it.

    `answer` is an HTTP status, None if the Git server does not answer. `ours` is whether the
    credential is the one that the lab has stored in the folder `account`.
    """

    answer: int | None
    ours: bool
    account: str


@dataclass(frozen=True)
class LiveSecret:
    """A Secret in the learner's namespace, without its values.

    `digests` has the SHA-256 of each value. `owner` is the Kustomization that applied the Secret,
    as `namespace/name`, empty if none did. `left_alone` is whether an annotation tells Flux to
    leave the Secret as it is.
    """

    keys: Set[str]
    digests: Mapping[str, str] | Undecided
    owner: str = ""
    left_alone: bool = False


# Git


@dataclass(frozen=True)
class Branches:
    """The branches of the learner's repository. `main` is the commit of main, None if there is no
    main; `empty` is whether there is no branch at all."""

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

    `recipients` is None if the file has no sops block. `keys` has all keys, `plain` the keys of
    values in plain text. `opened` is the result of decrypting the file. If it was decrypted,
    `digests` has the SHA-256 of each value, and `misfits` the keys of values that Kubernetes would
    refuse.
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
    """What .sops.yaml says about the chapter's file. `there` is whether .sops.yaml exists.
    `recipients` is None if no rule matches the file."""

    there: bool
    recipients: frozenset[str] | None = None


@dataclass(frozen=True)
class Tree:
    """The chapter's files in a clone, or in a commit.

    `commit` is the commit of the tree, None before the first commit. `files` are the names in the
    environment's folder, empty if there is no such folder. `manifests` are the Secrets among the
    files, by the file's name. `once_listed` are the names that kustomization.yaml has listed at any
    time. `rule` and `regex` are what .sops.yaml says for a new file in the folder; `unruled` says
    why they are not known. `report` is the policy's report on all files in the folder of secrets.
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
    """What is committed. `head` is the commit, None before the first one. `changes` are the paths
    with changes that are not committed.

    `in_head` is whether HEAD has the chapter's file. `same` is whether that file is the same as in
    the clone.
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
    """How HEAD of the clone, which is on `branch`, compares with the Git server's main."""

    branch: str = "main"
    relation: Relation = Relation.SAME


@dataclass(frozen=True)
class History:
    """The policy's report on the history of `repository`, and the incidents on record. Both
    `repository` and `incidents` are empty if the report has no findings."""

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

    `sources`, `kustomizations` and `receivers` are None if the cluster does not know that kind.
    `platform` has the Kustomizations and sources that make the environment. `namespaces` has the
    phase of each namespace, by name. `login` is None if there is no Secret with a login. `stored`
    is whether the source controller has the artifact that the source names, None if it names none.
    `holder` is the learner whose build all others wait for, empty if no build takes too long, if
    the one that does is not a learner's, or if the environment has no build that could wait.
    `contents` are the objects in the environment's own namespaces.
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
    holder: str | Undecided = NOT_ASKED
    live: Mapping[str, LiveSecret] | Undecided = NOT_ASKED
    contents: Live | Undecided = NOT_ASKED


@dataclass(frozen=True)
class Snapshot(InCluster):
    """One look at an environment.

    `url` is where Flux has to read the repository. `tree` is what is judged: the clone for the
    learner who works in it, and main otherwise. `there` is whether the Git server has the
    repository. `hooks` is None if the clone is not on this machine, as for a seat. `access` is None
    without a seat. `expired` is when the kubeconfig of a seat's learner expired, None while it is
    valid.
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
    access: Access | Undecided | None = NOT_ASKED
    expired: str | Undecided | None = None


def unseen(seen: Snapshot, reason: Undecided) -> Snapshot:
    """Return the snapshot with every facet of the cluster unseen, for a reason."""
    hidden: dict[str, Any] = {facet.name: reason for facet in fields(InCluster)}
    return replace(seen, **hidden)
