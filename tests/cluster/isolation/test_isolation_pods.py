"""Pods that would leave their container, and Services that would leave the cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.isolation.hostile import (
    FORBIDDEN,
    PAUSE,
    Hostile,
    Manifest,
    deployment,
    manifest,
    pod,
)
from tests.cluster.lab import wait_until

pytestmark = pytest.mark.every_provider

PRIVILEGED = {"securityContext": {"privileged": True}}
PODS: dict[str, tuple[dict[str, Any], str]] = {
    "privileged": (pod("x", container=PRIVILEGED), "privileged"),
    "privileged-init": (
        pod("x", initContainers=[{"name": "i", "image": PAUSE, **PRIVILEGED}]),
        "privileged",
    ),
    "host-path": (
        pod("x", volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
        'restricted volume types (volume "root"',
    ),
    "host-pid": (pod("x", hostPID=True), "hostPID=true"),
    "host-ipc": (pod("x", hostIPC=True), "hostIPC=true"),
    "host-network": (pod("x", hostNetwork=True), "hostNetwork=true"),
    "host-port": (
        pod("x", container={"ports": [{"containerPort": 80, "hostPort": 80}]}),
        "hostPort",
    ),
    "cap-sys-admin": (
        pod(
            "x",
            container={
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]},
                }
            },
        ),
        "SYS_ADMIN",
    ),
    "escalation": (
        pod("x", container={"securityContext": {"capabilities": {"drop": ["ALL"]}}}),
        "allowPrivilegeEscalation",
    ),
    "root": (pod("x", securityContext={"runAsUser": 0}), "runAsUser=0"),
    "unconfined": (
        pod(
            "x",
            securityContext={
                "runAsNonRoot": True,
                "runAsUser": 1,
                "seccompProfile": {"type": "Unconfined"},
            },
        ),
        "seccompProfile",
    ),
    "sysctl": (
        pod(
            "x",
            securityContext={
                "runAsNonRoot": True,
                "runAsUser": 1,
                "seccompProfile": {"type": "RuntimeDefault"},
                "sysctls": [{"name": "kernel.msgmax", "value": "1"}],
            },
        ),
        "forbidden sysctls",
    ),
    "named-node": (
        pod("x", nodeName="lab-class-control-plane"),
        "spec.nodeName is the scheduler's",
    ),
    # With a node, it is refused as the one above.
    "static-pod": (
        pod("x")
        | {
            "metadata": {
                "name": "x",
                "annotations": {
                    "kubernetes.io/config.mirror": "x",
                    "kubernetes.io/config.source": "file",
                },
            }
        },
        "must set spec.nodeName if mirror pod annotation is set",
    ),
    "evicts-others": (pod("x", priorityClassName="system-node-critical"), "spec.priorityClassName"),
    "tolerates-everything": (pod("x", tolerations=[{"operator": "Exists"}]), "spec.tolerations"),
    "will-not-go": (pod("x", terminationGracePeriodSeconds=86400), "GracePeriodSeconds"),
    "cannot-go": (
        pod("x") | {"metadata": {"name": "x", "finalizers": ["example.org/never"]}},
        "metadata.finalizers",
    ),
    "another-account": (pod("x", serviceAccountName="reconciler"), '"reconciler" not found'),
    # Of this, Pod Security or an admission policy speaks first.
    "asks-elsewhere": (
        pod("x", container={"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}),
        "host",
    ),
    "asks-elsewhere-at-its-end": (
        pod(
            "x", container={"lifecycle": {"preStop": {"httpGet": {"host": "10.0.0.1", "port": 80}}}}
        ),
        "host",
    ),
}


def test_no_pod_leaves_its_container(ada: Hostile) -> None:
    attacks = [
        {**attack, "metadata": {**attack["metadata"], "name": name}}
        for name, (attack, _) in PODS.items()
    ]

    said = ada.not_created(*attacks).splitlines()

    assert not ada.owns("pods")
    explained = {
        name
        for name, (_, reason) in PODS.items()
        if any(f'"{name}"' in line and reason in line for line in said)
    }
    assert explained == set(PODS), said


def templates(metadata: dict[str, Any], **spec: Any) -> list[Manifest]:
    """Return one object of each kind that makes pods, with a template of this metadata and spec."""
    labels = {"labels": {"app": "x"}}
    template = {"metadata": {**labels, **metadata}, "spec": pod("x", **spec)["spec"]}
    selector = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    once = {"template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}}
    nightly = {"schedule": "0 3 * * *", "jobTemplate": {"spec": once}}
    return [
        manifest("Deployment", "x", "apps/v1", spec=selector),
        manifest("StatefulSet", "x", "apps/v1", spec={**selector, "serviceName": "x"}),
        manifest("Job", "x", "batch/v1", spec=once),
        manifest("CronJob", "x", "batch/v1", spec=nightly),
    ]


NEVER = {"finalizers": ["example.org/never"]}
ASKING = {
    "name": "main",
    "image": PAUSE,
    "readinessProbe": {"tcpSocket": {"host": "10.0.0.1", "port": 80}},
}
TEMPLATES = [
    (NEVER, {}, "a template must not have metadata.finalizers"),
    ({"finalizers": ["batch.kubernetes.io/job-tracking"]}, {}, "must not have metadata.finalizers"),
    ({}, {"nodeName": "x"}, "spec.nodeName of a template"),
    ({}, {"priorityClassName": "system-node-critical"}, "spec.priorityClassName of a template"),
    ({}, {"tolerations": [{"operator": "Exists"}]}, "spec.tolerations of a template"),
    ({}, {"terminationGracePeriodSeconds": 86400}, "spec.terminationGracePeriodSeconds of a"),
    ({}, {"containers": [ASKING]}, "of a template must not name a host"),
]


@pytest.mark.parametrize(("metadata", "spec", "reason"), TEMPLATES)
def test_no_template_makes_what_could_not_be_made_by_hand(
    ada: Hostile, metadata: dict[str, Any], spec: dict[str, Any], reason: str
) -> None:
    attacks = templates(metadata, **spec)

    said = ada.not_created(*attacks)

    assert said.count(reason) == len(attacks), said


def test_no_job_or_claim_of_a_template_is_held(ada: Hostile) -> None:
    _, stateful, _, nightly = templates({})
    nightly["spec"]["jobTemplate"]["metadata"] = NEVER
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    stateful["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "x", **NEVER}, "spec": claim}]

    assert ada.not_created(stateful, nightly).count("must not have metadata.finalizers") == 2


def test_a_controller_that_had_such_a_template_before_makes_nothing_of_it(ada: Hostile) -> None:
    (attack, *_) = templates(NEVER)
    policy = "validatingadmissionpolicybinding/sops-lab-templates"
    before = ada.lab.kubectl("get", policy, "-o", "json")
    ada.lab.kubectl("delete", policy)
    try:
        wait_until(
            lambda: ada.create(attack, check=False).returncode == 0, "the policy is away", 30
        )

        def refused() -> bool:
            text = ada.kubectl("get", "events", "-o", "jsonpath={.items[*].message}").stdout
            return "metadata.finalizers would keep this namespace" in text

        wait_until(refused, "nobody said that the pods of the Deployment are refused", 30)
    finally:
        found = json.loads(before)
        found["metadata"] = {key: found["metadata"][key] for key in ("name", "labels")}
        ada.lab.run("kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager",
                    "kustomize-controller", "-f", "-", stdin=json.dumps(found))  # fmt: skip
    assert not ada.owns("pods")


def test_a_harmless_pod_runs(ada: Hostile) -> None:
    ada.create(pod("harmless"))

    ada.kubectl("wait", "--for=condition=Ready", "pod/harmless", "--timeout=60s")
    # The pod gets no token for the API, since nobody asked for one.
    (spec,) = [item["spec"] for item in ada.owns("pods")]
    assert not spec.get("volumes")


def test_no_controller_makes_such_a_pod_either(ada: Hostile) -> None:
    ada.create(deployment("web", container=PRIVILEGED))

    def refused() -> bool:
        text = ada.kubectl("get", "events", "-o", "jsonpath={.items[*].message}").stdout
        return 'violates PodSecurity "restricted' in text

    wait_until(refused, "nobody said that the pods of the Deployment are refused", 30)
    assert not ada.owns("pods")


def test_no_container_is_put_into_a_running_pod(ada: Hostile) -> None:
    ada.create(pod("harmless"))
    ada.kubectl("wait", "--for=condition=Ready", "pod/harmless", "--timeout=60s")

    debug = ("debug", "harmless", f"--image={PAUSE}", "--profile=sysadmin", "--attach=false")
    assert FORBIDDEN.search(ada.refused(*debug))

    # Pod Security refuses it even to those who have the right, such as the instructor.
    container = {"name": "debug", "image": PAUSE, **PRIVILEGED}
    done = ada.lab.run(
        "kubectl", "-n", ada.namespace, "patch", "pod/harmless",
        "--subresource=ephemeralcontainers",
        f"--patch={json.dumps({'spec': {'ephemeralContainers': [container]}})}", check=False,
    )  # fmt: skip
    assert done.returncode != 0 and 'violates PodSecurity "restricted' in done.stderr


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"type": "NodePort"}, "spec.type has to be ClusterIP"),
        ({"type": "LoadBalancer"}, "spec.type has to be ClusterIP"),
        ({"type": "ExternalName", "externalName": "example.org"}, "spec.type has to be ClusterIP"),
        ({"externalIPs": ["192.0.2.1"]}, "spec.externalIPs"),
        ({"ports": [{"name": f"p{one}", "port": one} for one in range(1, 12)]}, "spec.ports may"),
    ],
    ids=["node-port", "load-balancer", "external-name", "external-ip", "ports"],
)
def test_no_service_reaches_out_of_the_cluster_or_has_ports_without_end(
    ada: Hostile, spec: dict[str, Any], reason: str
) -> None:
    service = manifest("Service", "x", spec={"ports": [{"port": 80}], **spec})

    assert reason in ada.not_created(service)
