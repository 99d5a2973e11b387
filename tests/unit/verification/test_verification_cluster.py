"""The cluster, Flux and the keys: recorded objects, one change each, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from sopslab.checks.verification.cluster import (
    LOCKDOWN,
    Cluster,
    ClusterKey,
    Entry,
    Flux,
    Identity,
    Keys,
    Rule,
    Trouble,
    judge_cluster,
    judge_flux,
    judge_key,
)
from sopslab.config.settings import Settings
from sopslab.course.chapter import Chapter
from sopslab.model.results import Status
from tasks.flux import platform_files

OWN, INSTRUCTOR, OTHER = "age1own", "age1instructor", "age1other"
KEYS = Keys(
    Identity(OWN),
    Identity(INSTRUCTOR),
    ClusterKey(True, {"age.agekey": frozenset({OWN})}),
    Rule(True, frozenset({OWN, INSTRUCTOR})),
)


def test_a_ready_node_is_enough(recorded: Callable[[str], Any]) -> None:
    assert judge_cluster(Cluster(nodes=[recorded("node")])).status is Status.OK


def test_a_node_that_is_not_ready_is_named(recorded: Callable[[str], Any]) -> None:
    node = recorded("node")
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            condition.update(status="Unknown", reason="NodeStatusUnknown")
    verdict = judge_cluster(Cluster(nodes=[node]))

    assert verdict.status is Status.FAILED
    assert "lab-control-plane is not ready (NodeStatusUnknown)" in verdict.found
    assert verdict.next_step == "kubectl describe node lab-control-plane"


@pytest.mark.parametrize("trouble", Trouble)
def test_a_cluster_that_cannot_be_asked_leads_to_up(trouble: Trouble) -> None:
    verdict = judge_cluster(Cluster(trouble))

    assert (verdict.status, verdict.next_step) == (Status.FAILED, "sopslab up")
    assert trouble.value in verdict.found


def test_flux_as_recorded_is_well(flux: Callable[..., Flux], chapter: Chapter) -> None:
    assert judge_flux(flux(), chapter).status is Status.OK


def _arguments(change: Callable[[list[str]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda one: change(one["spec"]["template"]["spec"]["containers"][0]["args"])


def _spec(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda one: one["spec"].update(fields)


def _status(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda one: one["status"].update(fields)


CONTROLLER = ("deployments", "kustomize-controller")
OWN_KUSTOMIZATION = ("kustomizations", "secrets-develop")


@pytest.mark.parametrize(
    ("kind", "name", "change", "found", "next_step"),
    [
        *(
            (
                "deployments",
                name,
                _arguments(lambda given, flag=flag: given.remove(flag)),  # type: ignore[misc]
                f"{name} runs without the lockdown flag {flag}",
                "sopslab up",
            )
            for name, flags in LOCKDOWN.items()
            for flag in flags
        ),
        (
            *CONTROLLER,
            _arguments(lambda given: given.append("--no-remote-bases=false")),
            "--no-remote-bases=true",
            "sopslab up",
        ),
        (
            *CONTROLLER,
            _status(conditions=[{"type": "Available", "status": "False"}]),
            "kustomize-controller is not available",
            "logs deployment/kustomize-controller",
        ),
        (*CONTROLLER, _status(updatedReplicas=0), "is not available", "logs"),
        (*CONTROLLER, _status(observedGeneration=0), "is not available", "logs"),
        (*CONTROLLER, _spec(replicas=0), "is not available", "logs"),
        (
            *OWN_KUSTOMIZATION,
            _spec(suspend=True),
            "Kustomization secrets-develop is suspended",
            "flux --namespace flux-system resume kustomization secrets-develop",
        ),
        (
            "repositories",
            "learner",
            _spec(suspend=True),
            "GitRepository learner is suspended",
            "flux --namespace flux-system resume source git learner",
        ),
        (
            "receivers",
            "lab",
            _spec(suspend=True),
            "Receiver lab is suspended",
            "flux --namespace flux-system resume receiver lab",
        ),
        (*OWN_KUSTOMIZATION, _spec(decryption=None), "has no spec.decryption", "sopslab up"),
        (
            *OWN_KUSTOMIZATION,
            _spec(decryption={"provider": "sops", "secretRef": {"name": "other"}}),
            "does not decrypt with sops-age",
            "sopslab up",
        ),
        (*OWN_KUSTOMIZATION, _spec(path="./flux"), "does not look at", "sopslab up"),
        (
            *OWN_KUSTOMIZATION,
            _spec(sourceRef={"name": "flux-system"}),
            "does not read the GitRepository learner",
            "sopslab up",
        ),
        (*OWN_KUSTOMIZATION, _spec(serviceAccountName=None), "ServiceAccount", "sopslab up"),
        (
            *OWN_KUSTOMIZATION,
            lambda one: one["metadata"].update(name="renamed"),
            "no Kustomization secrets-develop",
            "sopslab up",
        ),
        (
            "repositories",
            "learner",
            lambda one: one["metadata"].update(name="renamed"),
            "no GitRepository learner",
            "sopslab up",
        ),
        (
            *CONTROLLER,
            lambda one: one["metadata"].update(name="renamed"),
            "kustomize-controller is missing",
            "sopslab up",
        ),
    ],
)
def test_what_is_wrong_with_flux_is_named(
    kind: str,
    name: str,
    change: Callable[[dict[str, Any]], object],
    found: str,
    next_step: str,
    flux: Callable[..., Flux],
    chapter: Chapter,
) -> None:
    verdict = judge_flux(flux(kind, name, change), chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert next_step in verdict.next_step


@pytest.mark.parametrize("kind", ["repositories", "kustomizations", "receivers"])
def test_kinds_that_are_unknown_are_an_incomplete_flux(
    kind: str, flux: Callable[..., Flux], chapter: Chapter
) -> None:
    unknown: dict[str, Any] = {kind: None}
    verdict = judge_flux(replace(flux(), **unknown), chapter)

    assert verdict.status is Status.FAILED
    assert "does not know all of its kinds" in verdict.found


def test_the_lockdown_is_what_the_platform_sets(lab: Callable[..., Settings]) -> None:
    text = platform_files(lab())["flux/clusters/lab/flux-system/kustomization.yaml"].content
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
        *("--requeue-dependency", "--storage-adv-addr", "--concurrent"),
        *("--kube-api-burst", "--kube-api-qps", "--feature-gates"),
        "--custom-apply-stage-kinds",
    }
    locks = {
        name: {flag for flag in flags if flag.partition("=")[0] not in tuning}
        for name, flags in given.items()
    }

    assert locks == {name: set(flags) for name, flags in LOCKDOWN.items()}


def test_keys_that_agree_are_well(chapter: Chapter) -> None:
    verdict = judge_key(KEYS, chapter)

    assert verdict.status is Status.OK
    assert OWN in verdict.found


def _cluster(**entries: frozenset[str] | Entry) -> Keys:
    return replace(
        KEYS, cluster=ClusterKey(True, {k.replace("_", "."): v for k, v in entries.items()})
    )


@pytest.mark.parametrize(
    ("keys", "found", "next_step"),
    [
        (
            replace(KEYS, learner=Identity(problem="x can be read by others", fix="chmod 600 x")),
            "the key file x can be read by others",
            "chmod 600 x",
        ),
        (
            replace(KEYS, cluster=ClusterKey(False)),
            "no Secret sops-age in flux-system",
            "scripts/sops-setup.sh --create-secret",
        ),
        (_cluster(), "it has: none", "--create-secret"),
        (_cluster(age_key=frozenset({OWN})), "it has: age.key", "--create-secret"),
        (_cluster(age_agekey=Entry.EMPTY), "age.agekey of sops-age is empty", "--create-secret"),
        (
            _cluster(age_agekey=Entry.INVALID),
            "age.agekey of sops-age holds no valid age identity",
            "--create-secret",
        ),
        (
            _cluster(age_agekey=frozenset({OWN}), old_agekey=Entry.INVALID),
            "old.agekey of sops-age holds no valid",
            "--create-secret",
        ),
        (
            _cluster(age_agekey=frozenset({OTHER})),
            f"the cluster's key is {OTHER}, but files are encrypted to {OWN}",
            "--create-secret",
        ),
        (replace(KEYS, rule=Rule(False)), ".sops.yaml is missing", "git checkout"),
        (replace(KEYS, rule=Rule(True, None)), "no creation rule", "git checkout"),
        (
            replace(KEYS, rule=Rule(True, frozenset({OTHER, INSTRUCTOR}))),
            f"but the key is {OWN}",
            "git checkout",
        ),
        (replace(KEYS, rule=Rule(True, frozenset({OWN}))), "leaves out the instructor", "checkout"),
        (
            replace(KEYS, rule=Rule(True, frozenset({OWN, INSTRUCTOR, OTHER}))),
            f"also encrypts to {OTHER}",
            "git checkout",
        ),
        (
            replace(KEYS, instructor=Identity(problem="y is not there", fix="sopslab up")),
            "the instructor's key file y is not there",
            "sopslab up",
        ),
    ],
)
def test_keys_that_do_not_agree_are_told_apart(
    keys: Keys, found: str, next_step: str, chapter: Chapter
) -> None:
    verdict = judge_key(keys, chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert next_step in verdict.next_step


def test_one_of_several_keys_in_the_cluster_is_enough(chapter: Chapter) -> None:
    keys = _cluster(age_agekey=frozenset({OWN}), old_agekey=frozenset({OTHER}))

    assert judge_key(keys, chapter).status is Status.OK
