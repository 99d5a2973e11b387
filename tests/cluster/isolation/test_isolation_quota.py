"""More than a seat's share."""

from __future__ import annotations

import time

from tests.cluster.isolation.hostile import IN_TIME, Hostile, deployment, manifest, pod
from tests.cluster.lab import wait_until


def test_configmaps_end_at_the_quota(ada: Hostile) -> None:
    many = [manifest("ConfigMap", f"c{number}") for number in range(200)]

    done = ada.create(*many, check=False)

    assert done.returncode != 0 and "exceeded quota: seat" in done.stderr
    # With kube-root-ca.crt, which Kubernetes puts into every namespace.
    assert len(ada.owns("configmaps")) == 20


def test_pods_end_at_the_quota(ada: Hostile) -> None:
    done = ada.create(*[pod(f"p{number}") for number in range(100)], check=False)

    assert done.returncode != 0 and "exceeded quota: seat" in done.stderr
    assert len(ada.owns("pods")) == 5


def test_replicas_end_at_the_quota(ada: Hostile) -> None:
    ada.create(deployment("many", replicas=100))

    wait_until(lambda: len(ada.owns("pods")) == 5, "the first replicas did not come", 30)
    time.sleep(3)
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


def test_a_repository_ends_at_the_quota_too(ada: Hostile, bob: Hostile) -> None:
    ada.publish(*[manifest("ConfigMap", f"c{number}") for number in range(100)])

    said = ada.failure()

    assert "exceeded quota" in said, said
    assert len(ada.owns("configmaps")) == 20
    assert bob.delivers(IN_TIME) < IN_TIME
