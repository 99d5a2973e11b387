"""What the API server would say to an object of a seat, by the policies of a class.

Their expressions are evaluated by CEL's own runtime. What only an API server can say, whether
somebody may do everything in the cluster, is given.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from cel_expr_python import cel

from tests.refused_objects import KUSTOMIZATIONS, sources
from tests.unit.test_tenants import GIT_URL, classroom, named, seat_objects

DEVELOP, SYSTEM = "ada-develop", "lab-ada-sys"
LEARNER = "sops-lab:ada:1"
RECONCILER = f"system:serviceaccount:{SYSTEM}:reconciler"
ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(
        ("object", "oldObject", "request", "namespaceObject", "variables"), cel.Type.DYN
    )
)


def refused(
    policy: str,
    thing: Mapping[str, Any],
    *,
    old: Mapping[str, Any] | None = None,
    user: str = LEARNER,
    namespace: str = DEVELOP,
    resource: str = "",
    platform: bool = False,
) -> list[str]:
    """Return the reasons for which an object in a namespace of the seat ada is refused."""
    spec = named(classroom(), "ValidatingAdmissionPolicy", f"sops-lab-{policy}")["spec"]
    known: dict[str, Any] = {
        "object": thing,
        "oldObject": old,
        "request": {
            "namespace": namespace,
            "userInfo": {"username": user},
            "resource": {"resource": resource},
        },
        "namespaceObject": {"metadata": {"labels": {"sops-lab/seat": "ada"}}},
        "variables": {"platform": platform},
    }

    def value(expression: str) -> Any:
        found = ENVIRONMENT.compile(expression).eval(data=known)
        # An error of an expression refuses, too: failurePolicy is Fail.
        return found.plain_value() if found.type() != cel.Type.ERROR else None

    for variable in spec.get("variables", []):
        if variable["name"] != "platform":
            known["variables"][variable["name"]] = value(variable["expression"])
    return [one["message"] for one in spec["validations"] if value(one["expression"]) is not True]


def changed(thing: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """Return an object with another spec; None takes a field away."""
    made = copy.deepcopy(dict(thing))
    made["spec"] |= spec
    made["spec"] = {name: value for name, value in made["spec"].items() if value is not None}
    return made


# Secrets


@pytest.mark.parametrize(
    "user",
    [RECONCILER, "system:serviceaccount:kube-system:generic-garbage-collector",
     "system:kube-controller-manager"],
)  # fmt: skip
def test_a_secret_comes_from_the_seats_reconciler_and_kubernetes_own(user: str) -> None:
    assert refused("secrets", {}, user=user) == []


@pytest.mark.parametrize(
    "user",
    [
        LEARNER,
        "sops-lab:bob:1",
        "system:anonymous",
        "system:node:lab-control-plane",
        "system:kube-scheduler",
        "system:serviceaccount:ada-develop:default",
        "system:serviceaccount:ada-develop:reconciler",
        "system:serviceaccount:lab-bob-sys:reconciler",
        "system:serviceaccount:lab-ada-sys:default",
        "system:serviceaccount:kube-system-2:default",
        "system:serviceaccount:flux-system:kustomize-controller",
    ],
)
def test_and_from_nobody_else_but_the_platform(user: str) -> None:
    assert refused("secrets", {}, user=user) == [
        "Secrets come from the seat's Git repository only, encrypted with SOPS"
    ]
    assert refused("secrets", {}, user=user, platform=True) == []


# What Flux is told


@pytest.fixture
def kustomization(tmp_path: Any) -> dict[str, Any]:
    return named(seat_objects(tmp_path, "ada"), "Kustomization", "secrets-develop")


@pytest.fixture
def source(tmp_path: Any) -> dict[str, Any]:
    return named(seat_objects(tmp_path, "ada"), "GitRepository", "lab")


def test_what_a_seat_is_made_of_is_let_in(
    kustomization: dict[str, Any], source: dict[str, Any]
) -> None:
    assert refused("kustomizations", kustomization, namespace=SYSTEM) == []
    assert refused("sources", source, namespace=SYSTEM, resource="gitrepositories") == []


@pytest.mark.parametrize(("change", "reason"), KUSTOMIZATIONS)
def test_a_kustomization_that_would_do_more_is_refused(
    kustomization: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    for user in (LEARNER, RECONCILER):
        thing = changed(kustomization, **change)
        (said,) = refused("kustomizations", thing, namespace=SYSTEM, user=user, platform=True)
        assert reason in said


def test_a_kustomization_beside_the_learners_objects_is_refused(
    kustomization: dict[str, Any],
) -> None:
    (said,) = refused("kustomizations", kustomization, namespace=DEVELOP)
    assert "lab-<seat>-sys" in said


@pytest.mark.parametrize(
    ("change", "resource", "namespace"),
    [
        *((change, "gitrepositories", SYSTEM) for change in sources(GIT_URL)),
        ({}, "gitrepositories", DEVELOP),
        ({}, "buckets", SYSTEM),
    ],
)
def test_a_source_that_leads_elsewhere_is_refused(
    source: dict[str, Any], change: dict[str, Any], resource: str, namespace: str
) -> None:
    thing = changed(source, **change)
    assert refused("sources", thing, namespace=namespace, resource=resource) != []


# What a learner makes


def test_the_labels_of_a_namespace_are_the_platforms() -> None:
    before = {"metadata": {"labels": {"sops-lab/seat": "ada", "x": "restricted"}}}
    after = {"metadata": {"labels": {"sops-lab/seat": "ada", "x": "privileged"}}}
    assert refused("namespaces", before, old=before) == []
    assert refused("namespaces", after, old=before) != []
    assert refused("namespaces", before) != []
    assert refused("namespaces", after, old=before, platform=True) == []


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"nodeName": "lab-control-plane"}, "spec.nodeName"),
        ({"priorityClassName": "mine"}, None),
        ({"priorityClassName": "system-node-critical"}, "spec.priorityClassName"),
        ({"tolerations": [{"operator": "Exists"}]}, "spec.tolerations"),
        ({"tolerations": [{"key": "node-role.kubernetes.io/x"}]}, "spec.tolerations"),
        ({"tolerations": [{"key": "node.kubernetes.io/not-ready"}]}, None),
        ({"terminationGracePeriodSeconds": 30}, None),
        ({"terminationGracePeriodSeconds": 31}, "terminationGracePeriodSeconds"),
    ],
)
def test_a_pod_keeps_to_its_seat(spec: dict[str, Any], reason: str | None) -> None:
    said = refused("pods", {"spec": spec})
    assert len(said) == (reason is not None)
    assert all(str(reason) in one for one in said)


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ExternalName"])
def test_a_service_stays_in_the_cluster(kind: str) -> None:
    assert refused("services", {"spec": {}}) == refused("services", {"spec": {"type": "ClusterIP"}})
    assert refused("services", {"spec": {"type": "ClusterIP"}}) == []
    assert refused("services", {"spec": {"type": kind}}) != []
    assert refused("services", {"spec": {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}}) != []


@pytest.mark.parametrize("finalizer", ["example.org/hold", "kubernetes.io/pvc-protection"])
def test_a_finalizer_that_nobody_takes_away_is_refused(finalizer: str) -> None:
    held = {"metadata": {"finalizers": [finalizer]}}
    assert refused("finalizers", held, resource="configmaps") != []
    # What is there already may be changed in every other way.
    assert refused("finalizers", held, old=held, resource="configmaps") == []
    assert refused("finalizers", held, resource="configmaps", namespace=SYSTEM) == []
    assert refused("finalizers", {"metadata": {"finalizers": ["orphan"]}}) == []
    volume = {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}}
    assert refused("finalizers", volume, resource="persistentvolumeclaims") == []
