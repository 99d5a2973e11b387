"""The cluster, Flux and the keys: recorded objects, with one change each, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from sopslab.checks.rules.platform import LOCKDOWN
from sopslab.checks.rules.table import Step
from sopslab.checks.snapshot import Cluster, ClusterKey, Entry, Identity, Rule
from sopslab.config.settings import Settings
from sopslab.layout import API_PORT
from sopslab.model.clusters import ApiServers
from sopslab.model.results import Status
from sopslab.model.trouble import Trouble
from tasks.flux import platform_files
from tests.unit.doctor.doctor_material import (
    OWN,
    STRANGER,
    TEACHER,
    Change,
    edited,
    facets,
    healthy,
    key,
    main,
    recorded,
    spec,
)
from tests.unit.verification.verification_material import verdict


def test_a_ready_node_is_enough() -> None:
    assert verdict(Step.CLUSTER, healthy()).status is Status.OK


def _lost(name: str) -> Any:
    """Return a node that no longer reports to the cluster."""
    node = recorded("node")
    node["metadata"]["name"] = name
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition.update(status="Unknown", reason="NodeStatusUnknown")
    return node


def test_a_node_that_is_not_ready_is_named() -> None:
    nodes = [_lost("lab-control-plane")]
    found = verdict(Step.CLUSTER, facets(cluster=Cluster(nodes=nodes))(healthy()))

    assert found.status is Status.FAILED
    assert "lab-control-plane is not ready (NodeStatusUnknown)" in found.found
    assert found.next_step == "kubectl describe node lab-control-plane"


def test_a_node_of_several_that_is_lost_stops_nothing_by_itself() -> None:
    nodes = [recorded("node"), _lost("worker")]
    seen = facets(cluster=Cluster(nodes=nodes))(healthy())

    found = verdict(Step.CLUSTER, seen)
    assert found.status is Status.OK
    assert found.found.endswith("ready: lab-control-plane; not ready: worker.")
    assert verdict(Step.FLUX, seen).status is Status.OK


def test_a_controller_on_a_lost_node_is_named_with_that_node() -> None:
    nodes = [recorded("node"), _lost("worker")]
    change = edited("controllers", "kustomize-controller", _without_pod)
    found = verdict(Step.FLUX, facets(cluster=Cluster(nodes=nodes))(change(healthy())))

    assert found.status is Status.FAILED
    assert "the node worker is not ready (NodeStatusUnknown)" in found.found
    assert found.next_step == "kubectl describe node worker"


def _without_pod(deployment: dict[str, Any]) -> None:
    for condition in deployment["status"]["conditions"]:
        if condition["type"] == "Available":
            condition["status"] = "False"


@pytest.mark.parametrize("trouble", Trouble)
def test_a_cluster_that_cannot_be_asked_leads_to_up(trouble: Trouble) -> None:
    found = verdict(Step.CLUSTER, facets(cluster=Cluster(trouble))(healthy()))

    assert (found.status, found.next_step) == (Status.FAILED, "sopslab up")
    assert trouble.value in found.found


def _arguments(change: Callable[[list[str]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda one: change(one["spec"]["template"]["spec"]["containers"][0]["args"])


def _status(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda one: one["status"].update(fields)


def _without(flag: str) -> Callable[[dict[str, Any]], object]:
    return _arguments(lambda given: given.remove(flag))


CONTROLLER = ("controllers", "kustomize-controller")


@pytest.mark.parametrize(
    ("change", "found", "next_step"),
    [
        *(
            (edited("controllers", name, _without(flag)), f"lack {flag}", "sopslab up")
            for name, flags in LOCKDOWN.items()
            for flag in flags
        ),
        (
            edited(*CONTROLLER, _arguments(lambda given: given.append("--no-remote-bases=false"))),
            "--no-remote-bases=true",
            "sopslab up",
        ),
        (
            edited(*CONTROLLER, _status(conditions=[{"type": "Available", "status": "False"}])),
            "kustomize-controller is not available",
            "logs deployment/kustomize-controller",
        ),
        (edited(*CONTROLLER, _status(updatedReplicas=0)), "is not available", "logs"),
        (edited(*CONTROLLER, _status(observedGeneration=0)), "is not available", "logs"),
        (spec(*CONTROLLER, replicas=0), "is not available", "logs"),
        (
            spec("kustomizations", "secrets-develop", suspend=True),
            "Kustomization secrets-develop is suspended",
            "flux --namespace flux-system resume kustomization secrets-develop",
        ),
        (
            spec("sources", "learner", suspend=True),
            "GitRepository learner is suspended",
            "flux --namespace flux-system resume source git learner",
        ),
        (
            spec("receivers", "lab", suspend=True),
            "Receiver lab is suspended",
            "flux --namespace flux-system resume receiver lab",
        ),
        *(
            (spec("kustomizations", "secrets-develop", **fields), found, "sopslab up")
            for fields, found in (
                ({"decryption": None}, "has no spec.decryption"),
                (
                    {"decryption": {"provider": "sops", "secretRef": {"name": "other"}}},
                    "does not decrypt with sops-age",
                ),
                ({"path": "./flux"}, "spec.path is ./flux"),
                ({"sourceRef": {"name": "flux-system"}}, "does not name learner"),
                ({"serviceAccountName": None}, "ServiceAccount"),
            )
        ),
        *(
            (edited(kind, name, lambda one: one["metadata"].update(name="x")), found, "sopslab up")
            for kind, name, found in (
                ("kustomizations", "secrets-develop", "no Kustomization secrets-develop"),
                ("sources", "learner", "no GitRepository learner"),
                (*CONTROLLER, "kustomize-controller: is gone"),
            )
        ),
        *(
            (facets(**{kind: None}), "does not know all of its kinds", "sopslab up")
            for kind in ("sources", "kustomizations", "receivers")
        ),
    ],
)
def test_what_is_wrong_with_flux_is_named(change: Change, found: str, next_step: str) -> None:
    told = verdict(Step.FLUX, change(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert next_step in told.next_step


def test_the_lockdown_is_what_the_platform_sets(lab: Callable[..., Settings]) -> None:
    text = platform_files(lab(), (), ApiServers(ports=(API_PORT,)))[
        "flux/clusters/lab/flux-system/kustomization.yaml"
    ].content
    given: dict[str, set[str]] = {name: set() for name in LOCKDOWN}
    for patch in yaml.safe_load(text)["patches"]:
        if patch["target"]["kind"] != "Deployment":
            continue
        for name in given:
            if name in patch["target"]["name"]:
                given[name] |= {
                    str(step["value"])
                    for step in yaml.safe_load(patch["patch"])
                    if step["path"].endswith("/args/-")
                }
    tuning = {
        *("--requeue-dependency", "--storage-adv-addr", "--events-addr", "--concurrent"),
        *("--kube-api-burst", "--kube-api-qps", "--feature-gates"),
        "--custom-apply-stage-kinds",
    }
    locks = {
        name: {flag for flag in flags if flag.partition("=")[0] not in tuning}
        for name, flags in given.items()
    }

    assert locks == {name: set(flags) for name, flags in LOCKDOWN.items()}


def test_keys_that_agree_are_well() -> None:
    found = verdict(Step.KEY, healthy())

    assert found.status is Status.OK
    assert OWN in found.found


def _rule(*recipients: str) -> Change:
    return main(rule=Rule(there=True, recipients=frozenset(recipients)))


@pytest.mark.parametrize(
    ("change", "found", "next_step"),
    [
        (
            facets(identity=Identity(problem="x can be read by others", fix="chmod 600 x")),
            "the key file: x can be read by others",
            "chmod 600 x",
        ),
        (
            facets(key=ClusterKey(present=False)),
            "no Secret sops-age in flux-system",
            "scripts/sops-setup.sh --create-secret",
        ),
        (key(), "has the entries: none", "--create-secret"),
        (key(age__key=frozenset({OWN})), "has the entries: age.key", "--create-secret"),
        (key(age__agekey=Entry.EMPTY), "its entry age.agekey is empty", "--create-secret"),
        (key(age__agekey=Entry.INVALID), "age.agekey holds no valid age identity", "--create"),
        (
            key(age__agekey=frozenset({OWN}), old__agekey=Entry.INVALID),
            "old.agekey holds no valid",
            "--create-secret",
        ),
        (key(age__agekey=frozenset({STRANGER})), f"has {STRANGER}", "--create-secret"),
        (main(rule=Rule(there=False)), ".sops.yaml: is missing", "git checkout"),
        (main(rule=Rule(there=True)), "No creation rule", "git checkout"),
        (_rule(STRANGER, TEACHER), f"the key is {OWN}", "git checkout"),
        (_rule(OWN), "leaves out the instructor", "checkout"),
        (_rule(OWN, TEACHER, STRANGER), f"names {STRANGER}", "git checkout"),
        (
            facets(instructor=Identity(problem="y is not there", fix="sopslab up")),
            "the instructor's key file: y is not there",
            "sopslab up",
        ),
    ],
)
def test_keys_that_do_not_agree_are_told_apart(change: Change, found: str, next_step: str) -> None:
    told = verdict(Step.KEY, change(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert next_step in told.next_step


def test_one_of_several_keys_in_the_cluster_is_enough() -> None:
    two = key(age__agekey=frozenset({OWN}), old__agekey=frozenset({STRANGER}))

    assert verdict(Step.KEY, two(healthy())).status is Status.OK
