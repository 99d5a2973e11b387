"""What is seen of one seat: on this machine, in the learner's repository, and in the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from sopslab.checks.verification.cluster import ClusterKey, Identity, Rule
from sopslab.checks.verification.repository import SecretFile
from sopslab.config.environment import Environment
from sopslab.model.objects import Object
from sopslab.policy.findings import Report


@dataclass(frozen=True)
class Tree:
    """What the branch main holds of the chapter.

    `file` is its manifest, `others` what the policy says of the other files among the secrets;
    `kustomization` is a text, None without that file; `unruled` says why `rule` is not known.
    """

    file: SecretFile
    others: Report = field(default_factory=Report)
    kustomization: str | None = None
    rule: Rule = field(default_factory=lambda: Rule(there=False))
    unruled: str = ""


@dataclass(frozen=True)
class Repository:
    """The learner's repository on the Git server.

    `head` is the commit of main, `start` the one that the repository began with; `tree` is None
    where there is no main, or where it could not be read, which `problem` then says.
    """

    there: bool = True
    head: str | None = None
    start: str | None = None
    tree: Tree | None = None
    problem: str = ""


@dataclass(frozen=True)
class Live:
    """The Secret of the exercise in the cluster, without its values."""

    labels: Mapping[str, str]
    keys: Set[str]


@dataclass(frozen=True)
class InCluster:
    """What the cluster has of a seat.

    `namespaces` are phases by name; `tenant` is the platform's Kustomization that applies the seat;
    `holder` is the seat whose build all others wait for, empty if none does not end.
    """

    namespaces: Mapping[str, str]
    tenant: Object | None
    source: Object | None
    kustomization: Object | None
    key: ClusterKey
    live: Live | None
    holder: str = ""


@dataclass(frozen=True)
class Seen:
    """Everything of one seat. `cluster` is None where the cluster could not be asked."""

    environment: Environment
    kubeconfig: bool
    password: bool
    identity: Identity
    instructor: Identity
    repository: Repository
    cluster: InCluster | None
