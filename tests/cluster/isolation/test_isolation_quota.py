"""Learners who try to take more than a seat's share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.isolation.hostile import (
    IN_TIME,
    Hostile,
    Manifest,
    deployment,
    manifest,
    pod,
)
from tests.cluster.lab import wait_until

pytestmark = pytest.mark.every_provider


def used(learner: Hostile, name: str) -> str:
    """Return how much of a resource is used, by the quota's status."""
    (quota,) = learner.owns("resourcequotas")
    return str(quota["status"].get("used", {}).get(name, ""))


def test_configmaps_end_at_the_quota(ada: Hostile) -> None:
    many = [manifest("ConfigMap", f"c{number}") for number in range(200)]
    # In a new namespace Kubernetes counts late what it has put there itself, kube-root-ca.crt.
    wait_until(
        lambda: used(ada, "count/configmaps") == str(len(ada.owns("configmaps"))), "it is counted"
    )

    done = ada.create(*many, check=False)

    assert done.returncode != 0 and "exceeded quota: seat" in done.stderr
    assert len(ada.owns("configmaps")) == 20


def test_pods_end_at_the_quota(ada: Hostile) -> None:
    done = ada.create(*[pod(f"p{number}") for number in range(100)], check=False)

    assert done.returncode != 0 and "exceeded quota: seat" in done.stderr
    assert len(ada.owns("pods")) == 5


@pytest.mark.soak
def test_finished_pods_are_counted(ada: Hostile) -> None:
    # No node has this name: the pods never run, and only the instructor sets their phase.
    nowhere: dict[str, Any] = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
    for batch in range(4):
        wait_until(lambda: used(ada, "pods") == "0", "finished pods are no longer among `pods`", 30)
        names = [f"p{batch}-{number}" for number in range(5)]
        ada.create(*[pod(one, **nowhere) for one in names])
        ada.lab.kubectl(
            "-n", ada.namespace, "patch", "pods", *names, "--subresource=status",
            '--patch={"status": {"phase": "Succeeded"}}',
        )  # fmt: skip

    wait_until(lambda: used(ada, "pods") == "0", "finished pods are no longer among `pods`", 30)
    assert "used: count/pods=20, limited: count/pods=20" in ada.not_created(
        pod("one-more", **nowhere)
    )


@pytest.mark.soak
def test_everything_that_lies_in_a_seat_is_counted(ada: Hostile) -> None:
    stateful = deployment("stateful")
    stateful["kind"] = "StatefulSet"
    stateful["spec"]["serviceName"] = "web"
    ports = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    ada.create(deployment("web"), stateful, manifest("Service", "web", spec=ports))
    made = "replicasets", "controllerrevisions", "endpointslices", "pods"
    wait_until(lambda: all(ada.owns(kind) for kind in made), "the controllers are done", 30)

    kinds = ada.lab.kubectl("api-resources", "--namespaced", "--verbs=list,create", "-o", "name")
    found = {
        kind
        for kind in kinds.split()
        if ada.lab.kubectl("-n", ada.namespace, "get", kind, "--ignore-not-found", "-o", "name")
    }

    (quota,) = ada.owns("resourcequotas")
    hard = {name.removeprefix("count/") for name in quota["spec"]["hard"]}
    # Nobody can make events: Kubernetes makes them, joins them, and removes them after an hour. The
    # others are the platform's: neither learners nor reconcilers make any.
    platforms = {
        "events",
        "events.events.k8s.io",
        "limitranges",
        "networkpolicies.networking.k8s.io",
        "resourcequotas",
        "rolebindings.rbac.authorization.k8s.io",
        "serviceaccounts",
    }
    assert found - hard == platforms & found
    assert {"pods", "endpoints", "controllerrevisions.apps"} <= found


@pytest.mark.parametrize(
    "heavy",
    [
        manifest("ConfigMap", "x", data={"x": "x" * 140_000}),
        manifest("ConfigMap", "x", data={"x": "€" * 50_000}),
        pod("x", container={"env": [{"name": f"A{i}", "value": "x" * 100} for i in range(2000)]}),
        deployment("x", container={"args": ["x" * 10] * 20_000}),
    ],
    ids=["configmap", "characters-of-three-bytes", "pod", "deployment"],
)
def test_an_object_has_a_weight_that_etcd_can_bear(ada: Hostile, heavy: Manifest) -> None:
    assert "an object of a seat may have 128 KiB" in ada.not_created(heavy)


@pytest.mark.soak
def test_replicas_end_at_the_quota(ada: Hostile) -> None:
    ada.create(deployment("many", replicas=100))

    def is_refused() -> bool:
        """Return whether the ReplicaSet was refused another pod."""
        return any(
            event["involvedObject"]["name"].startswith("many-")
            and "exceeded quota: seat" in event.get("message", "")
            for event in ada.owns("events")
        )

    wait_until(lambda: len(ada.owns("pods")) == 5, "the first replicas did not come", 30)
    wait_until(is_refused, "no replica was refused", 30)
    assert len(ada.owns("pods")) == 5


def test_a_terabyte_is_refused(ada: Hostile) -> None:
    claim = manifest(
        "PersistentVolumeClaim",
        "big",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Ti"}}},
    )

    assert "exceeded quota: seat" in ada.not_created(claim)


def test_a_pod_that_asks_for_the_whole_machine_is_refused(ada: Hostile) -> None:
    greedy = pod("greedy", container={"resources": {"limits": {"cpu": "64", "memory": "64Gi"}}})

    assert "maximum" in ada.not_created(greedy)


# Kubernetes takes a limit of 0 for none.
UNLIMITED: dict[str, dict[str, Any]] = {
    name: {"resources": {"limits": {name: "0"}, "requests": {name: "0"}}}
    for name in ("cpu", "memory", "ephemeral-storage")
}


def test_no_pod_is_without_a_limit(ada: Hostile) -> None:
    attacks = [pod(f"no-{name}", container=container) for name, container in UNLIMITED.items()]

    said = ada.not_created(*attacks)

    for name in UNLIMITED:
        assert f"minimum {name} usage per Container" in said
    assert not ada.owns("pods")


def test_and_no_template_makes_one(ada: Hostile) -> None:
    ada.create(
        *[deployment(f"no-{name}", container=container) for name, container in UNLIMITED.items()]
    )

    def refused() -> bool:
        text = ada.kubectl("get", "events", "-o", "jsonpath={.items[*].message}").stdout
        return all(f"minimum {name} usage per Container" in text for name in UNLIMITED)

    wait_until(refused, "nobody said that the pods of the Deployments are refused", 30)
    assert not ada.owns("pods")


@pytest.mark.soak
def test_a_repository_ends_at_the_quota_too(ada: Hostile, bob: Hostile) -> None:
    ada.publish(*[manifest("ConfigMap", f"c{number}") for number in range(100)])

    said = ada.failure()

    assert "exceeded quota" in said, said
    assert len(ada.owns("configmaps")) == 20
    assert bob.delivers(IN_TIME) < IN_TIME
