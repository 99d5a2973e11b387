"""What guards a learner's namespace is deleted and changed by learners, and restored."""

from __future__ import annotations

import json

import pytest

from tests.cluster.isolation.hostile import FORBIDDEN, Hostile, Manifest, deployment, manifest
from tests.cluster.lab import wait_until

pytestmark = pytest.mark.every_provider

# Seconds for the interval of a seat's Kustomization, Flux's jitter, and applying.
INTERVAL = 150.0


@pytest.mark.parametrize(
    "namespace", ["ada-develop", "lab-ada-sys", "bob-develop", "lab-bob-sys", "flux-system"]
)
def test_a_learner_deletes_no_namespace(ada: Hostile, namespace: str) -> None:
    assert FORBIDDEN.search(ada.refused("delete", "namespace", namespace))
    assert "Active" in ada.lab.kubectl("get", "namespace", namespace)


@pytest.mark.soak
def test_a_namespace_that_the_instructor_deletes_is_missed_and_restored(eve: Hostile) -> None:
    expected = eve.classroom.canary_digest("eve")
    eve.lab.kubectl("delete", "namespace", eve.namespace)

    told = json.loads(eve.lab.sopslab("status", "--json", check=False).stdout)
    (row,) = [row for row in told["class"] if row["seat"] == "eve"]
    assert row["needs_help"] and eve.namespace in row["next"], row

    eve.classroom.up()
    assert eve.classroom.canary_digest("eve") == expected != ""
    guards = "resourcequota/seat", "limitrange/seat", "networkpolicy/seat", "rolebinding/learner"
    eve.lab.kubectl("-n", eve.namespace, "get", *guards)


# The test takes the whole interval, two minutes.
@pytest.mark.soak
def test_what_a_learner_deletes_comes_back_within_the_interval(ada: Hostile) -> None:
    ada.publish(deployment("web"))
    assert ada.outcome()["status"] == "True"
    expected = ada.classroom.canary_digest("ada")

    ada.kubectl("delete", "deployment/web", "secret/lab-canary")

    assert not ada.owns("secrets")
    wait_until(
        lambda: bool(ada.owns("deployments") and ada.owns("secrets")),
        "Flux did not restore what the learner has deleted",
        INTERVAL,
    )
    assert ada.classroom.canary_digest("ada") == expected != ""


GUARDS = [
    (
        "namespace/ada-develop",
        '{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":null}}}',
    ),
    ("namespace/ada-develop", '{"metadata":{"labels":{"sops-lab/seat":"bob"}}}'),
    ("namespace/lab-ada-sys", '{"metadata":{"labels":{"sops-lab/seat":"bob"}}}'),
    ("resourcequota/seat", '{"spec":{"hard":{"pods":"1000"}}}'),
    ("limitrange/seat", '{"spec":{"limits":[]}}'),
    ("networkpolicy/seat", '{"spec":{"egress":[{}],"ingress":[{}]}}'),
    ("rolebinding/learner", '{"subjects":[]}'),
    ("serviceaccount/default", '{"automountServiceAccountToken":true}'),
]


@pytest.mark.parametrize(
    ("guard", "patch"), GUARDS, ids=[f"{g}-{i}" for i, (g, _) in enumerate(GUARDS)]
)
def test_a_learner_changes_no_guard(ada: Hostile, guard: str, patch: str) -> None:
    assert FORBIDDEN.search(ada.refused("patch", guard, "--type=merge", f"--patch={patch}"))


@pytest.mark.parametrize(
    "guard", ["resourcequota/seat", "limitrange/seat", "networkpolicy/seat", "rolebinding/learner"]
)
def test_a_learner_deletes_no_guard(ada: Hostile, guard: str) -> None:
    assert FORBIDDEN.search(ada.refused("delete", guard))


def test_a_learner_opens_the_network_with_no_policy_of_their_own(ada: Hostile) -> None:
    everything: Manifest = {"podSelector": {}, "egress": [{}], "ingress": [{}]}
    policy = manifest("NetworkPolicy", "open", "networking.k8s.io/v1", spec=everything)

    assert FORBIDDEN.search(ada.not_created(policy))
