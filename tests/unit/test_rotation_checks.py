"""How far a rotation is in the cluster, judged by objects as the API server returns them."""

from __future__ import annotations

from typing import Any

import pytest

from sopslab.checks.rotation import compare, consumers, is_settled
from sopslab.model.rotation import LiveValue

READY = {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True"}]}
AT_WORK = [{"type": "Ready", "status": "Unknown"}]


def kustomization(status: dict[str, Any] | None, **metadata: Any) -> dict[str, Any]:
    found = {"metadata": {"resourceVersion": "100", "generation": 2, **metadata}}
    return found if status is None else {**found, "status": status}


@pytest.mark.parametrize(
    ("found", "key", "settled"),
    [
        (kustomization(READY), 0, True),
        (kustomization(READY), 99, True),
        (kustomization(READY), 100, False),
        # Versions are compared as numbers: 1000 is more than 999.
        (kustomization(READY, resourceVersion="1000"), 999, True),
        (kustomization(None), 0, False),
        (kustomization({}), 0, False),
        (kustomization({**READY, "observedGeneration": 1}), 0, False),
        (kustomization({**READY, "conditions": AT_WORK}), 0, False),
        (kustomization(READY, annotations={"reconcile.fluxcd.io/requestedAt": "b"}), 0, False),
        (
            kustomization(
                {**READY, "lastHandledReconcileAt": "b"},
                annotations={"reconcile.fluxcd.io/requestedAt": "b"},
            ),
            0, True,
        ),
        # The request was for an earlier object, which has been made anew.
        (kustomization({**READY, "lastHandledReconcileAt": "b"}), 0, True),
    ],
)  # fmt: skip
def test_flux_is_done_when_it_has_reported_of_all_that_it_was_told(
    found: dict[str, Any], key: int, settled: bool
) -> None:
    assert is_settled(found, key) is settled


@pytest.mark.parametrize(
    ("file", "live", "how"),
    [
        ({"data": {"A": "b25l"}}, None, LiveValue.ABSENT),
        ({"data": {"A": "b25l"}}, {"A": "b25l"}, LiveValue.SAME),
        # YAML may have folded the value.
        ({"data": {"A": "b25\n  l"}}, {"A": "b25l"}, LiveValue.SAME),
        ({"data": {"A": "b25l"}}, {"A": "b25l", "B": "b25l"}, LiveValue.DIFFERS),
        ({"data": {"A": "b25l", "B": "b25l"}}, {"A": "b25l"}, LiveValue.DIFFERS),
        ({"data": {"A": "eA=="}, "stringData": {"A": "one"}}, {"A": "b25l"}, LiveValue.SAME),
        ({"stringData": {"A": "ü"}}, {"A": "w7w="}, LiveValue.SAME),
        ({"data": None, "stringData": {"A": None}}, {"A": ""}, LiveValue.SAME),
        ({"stringData": {"A": 1}}, {"A": "MQ=="}, LiveValue.SAME),
        ({}, {}, LiveValue.SAME),
    ],
)
def test_a_secret_is_compared_by_what_kubernetes_makes_of_the_file(
    file: dict[str, Any], live: dict[str, str] | None, how: LiveValue
) -> None:
    assert compare(file, live) is how


def workload(kind: str, name: str, pods: dict[str, Any], **annotations: str) -> dict[str, Any]:
    template = {"metadata": {"annotations": annotations}, "spec": pods}
    return {"kind": kind, "metadata": {"name": name}, "spec": {"template": template}}


def test_only_who_has_read_a_secret_at_its_start_is_a_consumer() -> None:
    whole = {"envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "a"}}]}
    one = {"env": [{"name": "X", "value": "a"}, {"valueFrom": {"secretKeyRef": {"name": "b"}}}]}
    mounted = {"volumes": [{"secret": {"secretName": "a"}}], "containers": [{"name": "x"}]}
    found = [
        workload("Deployment", "whole", {"containers": [{}, whole]}),
        workload("StatefulSet", "early", {"containers": [], "initContainers": [one]}),
        workload("Deployment", "again", {"containers": [whole]}, **{"sops-lab/incident": "before"}),
        workload("Deployment", "done", {"containers": [whole]}, **{"sops-lab/incident": "now"}),
        # Kubernetes updates a volume by itself.
        workload("DaemonSet", "mounted", mounted),
    ]
    assert consumers(found, "now", ["a"]) == ["deployment/whole", "deployment/again"]
    assert consumers(found, "now", ["b"]) == ["statefulset/early"]
    assert consumers(found, "now", []) == []


def test_a_workload_without_annotations_is_a_consumer_too() -> None:
    pods = {"containers": [{"envFrom": [{"secretRef": {"name": "a"}}]}]}
    found = {"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"template": {"spec": pods}}}
    assert consumers([found], "now", ["a"]) == ["deployment/x"]
