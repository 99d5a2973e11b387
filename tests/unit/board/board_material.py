"""A seat as it is when its learner is done, as what was seen of it, with changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sopslab.checks.board.seen import InCluster, Live, Repository, Seen, Tree
from sopslab.checks.verification.cluster import ClusterKey, Identity, Rule
from sopslab.checks.verification.repository import Opened, SecretFile
from sopslab.config.environment import at_seat
from sopslab.config.settings import Seat

ADA = Seat(id="ada", name="Ada", email="ada@example.org", group="a")
HEAD, START = "a" * 40, "0" * 40
OWN, INSTRUCTOR = "age1own", "age1instructor"
REVISION = f"main@sha1:{HEAD}"
FILE = SecretFile(
    name="backend-secrets",
    namespace="ada-develop",
    opened=Opened.NOT_TRIED,
    keys=frozenset({"password"}),
)
TREE = Tree(
    FILE,
    kustomization="resources:\n  - lab-canary.yaml\n  - backend-secrets.yaml\n",
    rule=Rule(True, frozenset({OWN, INSTRUCTOR})),
)
REPOSITORY = Repository(head=HEAD, start=START, tree=TREE)
LIVE = Live(
    {
        "kustomize.toolkit.fluxcd.io/name": "secrets-develop",
        "kustomize.toolkit.fluxcd.io/namespace": "lab-ada-sys",
    },
    frozenset({"password"}),
)


def flux_object(kind: str, namespace: str, name: str, **status: Any) -> dict[str, Any]:
    """Return an object of Flux that is ready."""
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": {},
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "message": "", "reason": ""}],
            **status,
        },
    }


def not_ready(found: dict[str, Any], message: str, reason: str = "BuildFailed") -> dict[str, Any]:
    """Return the object with that to say."""
    ready = {"type": "Ready", "status": "False", "message": message, "reason": reason}
    return {**found, "status": {**found["status"], "conditions": [ready]}}


def suspended(found: dict[str, Any]) -> dict[str, Any]:
    """Return the object as somebody suspended it."""
    return {**found, "spec": {"suspend": True}}


TENANT = flux_object("Kustomization", "flux-system", "tenant-ada")
SOURCE = flux_object("GitRepository", "lab-ada-sys", "lab", artifact={"revision": REVISION})
KUSTOMIZATION = flux_object(
    "Kustomization",
    "lab-ada-sys",
    "secrets-develop",
    lastAppliedRevision=REVISION,
    inventory={"entries": [{"id": "ada-develop_backend-secrets__Secret", "v": "v1"}]},
)
CLUSTER = InCluster(
    {"ada-develop": "Active", "lab-ada-sys": "Active"},
    TENANT,
    SOURCE,
    KUSTOMIZATION,
    ClusterKey(True, {"age.agekey": frozenset({OWN})}),
    LIVE,
)
DONE = Seen(at_seat(ADA), True, True, Identity(OWN), Identity(INSTRUCTOR), REPOSITORY, CLUSTER)


def with_tree(**changes: Any) -> Seen:
    """Return the seat with another tree on main."""
    return replace(DONE, repository=replace(REPOSITORY, tree=replace(TREE, **changes)))


def with_repository(**changes: Any) -> Seen:
    """Return the seat with another repository."""
    return replace(DONE, repository=replace(REPOSITORY, **changes))


def with_cluster(**changes: Any) -> Seen:
    """Return the seat with something else in the cluster."""
    return replace(DONE, cluster=replace(CLUSTER, **changes))


def fresh() -> Seen:
    """Return the seat on its first day."""
    source = flux_object(
        "GitRepository", "lab-ada-sys", "lab", artifact={"revision": f"main@sha1:{START}"}
    )
    kustomization = flux_object(
        "Kustomization",
        "lab-ada-sys",
        "secrets-develop",
        lastAppliedRevision=f"main@sha1:{START}",
        inventory={"entries": [{"id": "ada-develop_lab-canary__Secret", "v": "v1"}]},
    )
    tree = replace(
        TREE,
        file=SecretFile(there=False),
        kustomization="resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n",
    )
    return replace(
        DONE,
        repository=Repository(head=START, start=START, tree=tree),
        cluster=replace(CLUSTER, source=source, kustomization=kustomization, live=None),
    )
