"""What a look sees at the seat of a learner who is done, and variations of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import chapter_at
from sopslab.checks.snapshot import (
    Access,
    Branches,
    ClusterKey,
    Identity,
    LiveSecret,
    Manifest,
    Rule,
    Snapshot,
    Tree,
)
from sopslab.config.environment import at_seat
from sopslab.config.settings import Seat
from sopslab.model.results import Undecided

ADA = Seat(id="ada", name="Ada", email="ada@example.org", group="a")
HEAD, START = "a" * 40, "0" * 40
OWN, INSTRUCTOR = "age1own", "age1instructor"
REVISION = f"main@sha1:{HEAD}"
FILE = Manifest(
    "backend-secrets",
    "ada-develop",
    frozenset({"password"}),
    frozenset({OWN, INSTRUCTOR}),
    "^(data|stringData)$",
)
TREE = Tree(
    HEAD,
    frozenset({"backend-secrets.yaml", "lab-canary.yaml", "kustomization.yaml"}),
    "resources:\n  - lab-canary.yaml\n  - backend-secrets.yaml\n",
    {"backend-secrets.yaml": FILE},
    rule=Rule(True, frozenset({OWN, INSTRUCTOR})),
    regex="^(data|stringData)$",
)
LIVE = LiveSecret(
    frozenset({"password"}), Undecided("not asked for"), "lab-ada-sys/secrets-develop"
)
URL = "http://lab-git:8080/ada/lab.git"
SPECS: Mapping[str, Mapping[str, Any]] = {
    "GitRepository": {
        "url": URL,
        "ref": {"branch": "main"},
        "secretRef": {"name": "git-credentials"},
    },
    "Kustomization": {
        "path": "./flux/secrets/develop",
        "sourceRef": {"kind": "GitRepository", "name": "lab"},
        "decryption": {"provider": "sops", "secretRef": {"name": "sops-age"}},
        "serviceAccountName": "reconciler",
    },
}


def flux_object(kind: str, namespace: str, name: str, **status: Any) -> dict[str, Any]:
    """Return a Flux object that is ready."""
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": dict(SPECS[kind]),
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "message": "", "reason": ""}],
            **status,
        },
    }


def not_ready(found: dict[str, Any], message: str, reason: str = "BuildFailed") -> dict[str, Any]:
    """Return the object, not ready, with a message and a reason."""
    ready = {"type": "Ready", "status": "False", "message": message, "reason": reason}
    return {**found, "status": {**found["status"], "conditions": [ready]}}


def suspended(found: dict[str, Any]) -> dict[str, Any]:
    """Return the object, suspended."""
    return {**found, "spec": {**found["spec"], "suspend": True}}


TENANT = flux_object("Kustomization", "flux-system", "tenant-ada")
SOURCE = flux_object("GitRepository", "lab-ada-sys", "lab", artifact={"revision": REVISION})
KUSTOMIZATION = flux_object(
    "Kustomization",
    "lab-ada-sys",
    "secrets-develop",
    lastAppliedRevision=REVISION,
    inventory={"entries": [{"id": "ada-develop_backend-secrets__Secret", "v": "v1"}]},
)
NAMESPACES = {"ada-develop": "Active", "lab-ada-sys": "Active"}
SNAPSHOT = Snapshot(
    at_seat(ADA),
    chapter_at(at_seat(ADA)),
    URL,
    identity=Identity(OWN),
    instructor=Identity(INSTRUCTOR),
    sources=[SOURCE],
    kustomizations=[KUSTOMIZATION],
    platform=[TENANT],
    namespaces=NAMESPACES,
    key=ClusterKey(True, {"age.agekey": frozenset({OWN})}),
    holder="",
    live={"backend-secrets": LIVE},
    there=True,
    branches=Branches(HEAD),
    tree=TREE,
    access=Access(kubeconfig=True, password=True),
)
DONE = Seen(SNAPSHOT, start=START)


def with_tree(**changes: Any) -> Seen:
    """Return the seat with some fields of its tree on main changed."""
    return with_facets(tree=replace(TREE, **changes))


def with_file(one: Manifest) -> Seen:
    """Return the seat with another file on main."""
    return with_tree(manifests={"backend-secrets.yaml": one})


def with_facets(**changes: Any) -> Seen:
    """Return the seat with some facets of its snapshot changed."""
    return replace(DONE, snapshot=replace(SNAPSHOT, **changes))


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
        commit=START,
        files=frozenset({"lab-canary.yaml", "kustomization.yaml"}),
        manifests={},
        kustomization="resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n",
    )
    return with_facets(
        branches=Branches(START),
        tree=tree,
        sources=[source],
        kustomizations=[kustomization],
        live={},
    )
