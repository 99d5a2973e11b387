"""What a repository may bring, and what it may cost the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.isolation.hostile import (
    APPS,
    FORBIDDEN,
    IN_TIME,
    Hostile,
    deployment,
    manifest,
    pod,
    restarts,
)
from tests.cluster.lab import wait_until
from tests.marks import mostly_soak

pytestmark = pytest.mark.every_provider

KINDS: dict[str, dict[str, Any]] = {
    "Kustomization": manifest(
        "Kustomization",
        "x",
        "kustomize.toolkit.fluxcd.io/v1",
        spec={
            "interval": "1m",
            "prune": True,
            "path": "./",
            "sourceRef": {"kind": "GitRepository", "name": "x"},
        },
    ),
    "GitRepository": manifest(
        "GitRepository",
        "x",
        "source.toolkit.fluxcd.io/v1",
        spec={"interval": "1m", "url": "http://169.254.169.254/x.git"},
    ),
    "ClusterRole": manifest(
        "ClusterRole",
        "x",
        "rbac.authorization.k8s.io/v1",
        rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    ),
    "ClusterRoleBinding": manifest(
        "ClusterRoleBinding",
        "x",
        "rbac.authorization.k8s.io/v1",
        roleRef={
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        subjects=[{"kind": "Group", "name": "sops-lab:learners"}],
    ),
    "RoleBinding": manifest(
        "RoleBinding",
        "x",
        "rbac.authorization.k8s.io/v1",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
        subjects=[{"kind": "Group", "name": "sops-lab:learners"}],
    ),
    "Namespace": manifest("Namespace", "x"),
    "CustomResourceDefinition": manifest(
        "CustomResourceDefinition",
        "things.example.org",
        "apiextensions.k8s.io/v1",
        spec={
            "group": "example.org",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    ),
    "ValidatingAdmissionPolicyBinding": manifest(
        "ValidatingAdmissionPolicyBinding",
        "sops-lab-secrets",
        "admissionregistration.k8s.io/v1",
        spec={"policyName": "sops-lab-secrets", "validationActions": ["Audit"]},
    ),
    "PersistentVolume": manifest(
        "PersistentVolume",
        "x",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/"},
        },
    ),
    "ResourceQuota": manifest("ResourceQuota", "seat", spec={"hard": {"pods": "1000"}}),
    "NetworkPolicy": manifest(
        "NetworkPolicy",
        "open",
        "networking.k8s.io/v1",
        spec={"podSelector": {}, "egress": [{}], "ingress": [{}]},
    ),
    "ServiceAccount": manifest("ServiceAccount", "x"),
    "DaemonSet": manifest(
        "DaemonSet",
        "x",
        "apps/v1",
        spec={
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod("x")["spec"]},
        },
    ),
}


@pytest.mark.parametrize("kind", mostly_soak(KINDS, "Kustomization", "ClusterRoleBinding"))
def test_a_repository_brings_nothing_that_is_not_the_learners(ada: Hostile, kind: str) -> None:
    before = _identities(ada)

    ada.publish(KINDS[kind])

    said = ada.failure()
    # For cluster-wide kinds and for those of the namespace, Flux names the object as forbidden.
    assert f"{kind}/" in said and FORBIDDEN.search(said), said
    assert "reconciler" in said, said
    assert _identities(ada) == before


def _identities(learner: Hostile) -> list[str]:
    """Return the objects that guard the seats and the cluster, with their uids and generations."""
    kinds = (
        "namespaces,resourcequotas,limitranges,networkpolicies,rolebindings,roles,clusterroles,"
        "clusterrolebindings,serviceaccounts,daemonsets,customresourcedefinitions,persistentvolumes,"
        "validatingadmissionpolicybindings,kustomizations,gitrepositories"
    )
    text = learner.lab.kubectl(
        "get", kinds, "--all-namespaces",
        "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}"
        " {.metadata.uid} {.metadata.generation} {.metadata.labels}{'\\n'}{end}",
    )  # fmt: skip
    return sorted(text.splitlines())


def _symlink_to_root(ada: Hostile) -> None:
    (ada.work / APPS).mkdir(parents=True)
    (ada.work / APPS / "host").symlink_to("/")
    (ada.work / APPS / "kustomization.yaml").write_text("resources: [host/etc/hosts]\n")
    ada.refer_to("../../apps")


def _above_the_repository(ada: Hostile) -> None:
    ada.refer_to("../../../../../../../etc")


def _absolute(ada: Hostile) -> None:
    ada.refer_to("/etc/hostname")


def _endless(ada: Hostile) -> None:
    (ada.work / APPS).mkdir(parents=True)
    (ada.work / APPS / "kustomization.yaml").write_text("resources: [../secrets/develop]\n")
    ada.refer_to("../../apps")


def _billion_laughs(ada: Hostile) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (ada.work / APPS).mkdir(parents=True)
    (ada.work / APPS / "bomb.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + "\n".join(lines) + "\n"
    )
    ada.refer_to("../../apps/bomb.yaml")


def _huge_file(ada: Hostile) -> None:
    (ada.work / APPS).mkdir(parents=True)
    with (ada.work / APPS / "huge.yaml").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    ada.refer_to("../../apps/huge.yaml")


def _zip_bomb(ada: Hostile) -> None:
    """Push one small object that is many large files when it is unpacked."""
    (ada.work / APPS).mkdir(parents=True)
    for number in range(40):
        with (ada.work / APPS / f"{number}.bin").open("wb") as file:
            file.truncate(4 * 1024 * 1024)
    ada.refer_to("../../apps")


def _many_files(ada: Hostile) -> None:
    (ada.work / APPS).mkdir(parents=True)
    for number in range(50_000):
        (ada.work / APPS / f"{number}.yaml").write_text(f"# {number}\n")
    ada.refer_to("../../apps")


# What each is refused for, by the Git server or by Flux.
BUILDS: dict[str, tuple[Callable[[Hostile], None], str]] = {
    "symlink-to-root": (_symlink_to_root, "[not-a-regular-file]"),
    "above-the-repository": (_above_the_repository, "is not in or below"),
    "absolute-path": (_absolute, "is not in or below"),
    "endless": (_endless, "[kustomize-too-much]"),
    "billion-laughs": (_billion_laughs, "too much through aliases"),
    "huge-file": (_huge_file, "a file of more than"),
    "zip-bomb": (_zip_bomb, "MiB in all"),
    "50000-files": (_many_files, "files, folders and commits"),
}


@pytest.mark.parametrize("name", mostly_soak(BUILDS, "symlink-to-root"))
def test_a_harmful_repository_fails_alone(ada: Hostile, bob: Hostile, name: str) -> None:
    before = restarts(ada.lab)
    build, reason = BUILDS[name]
    build(ada)

    pushed = ada.push(check=False)

    # Either the Git server refuses the push, or Flux says in time why it cannot apply the commit.
    said = ada.failure(90) if pushed.returncode == 0 else pushed.stderr
    assert reason in said, said
    assert bob.delivers(IN_TIME) < IN_TIME
    assert restarts(ada.lab) == before, "a controller was killed"


@pytest.mark.soak
def test_a_workload_that_is_never_ready_holds_nobody_up(ada: Hostile, bob: Hostile) -> None:
    never = {"readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 1}}
    started = time.monotonic()
    ada.publish(deployment("never", container=never))
    wait_until(lambda: bool(ada.owns("deployments")), "Flux did not apply the workload", 30)

    beside = bob.delivers(IN_TIME)
    said = ada.failure(120)
    ended = time.monotonic() - started

    assert beside < IN_TIME
    assert "timeout" in said.lower() and "never" in said, said
    assert ended <= 120


@pytest.mark.soak
def test_a_push_that_repairs_does_not_wait_for_the_one_that_broke(ada: Hostile) -> None:
    never = {"readinessProbe": {"httpGet": {"port": 1}, "periodSeconds": 1}}
    ada.publish(deployment("never", container=never))
    wait_until(lambda: bool(ada.owns("deployments")), "Flux did not apply the workload", 30)

    # Flux's timeout for the broken commit is a minute.
    assert ada.delivers(30) < 30
