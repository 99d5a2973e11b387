"""The YAML of a class: what one seat is made of, who may do what, and what admission refuses."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.naming import seat_namespace, seat_system_namespace, seat_user
from sopslab.files.render import render_tree
from sopslab.layout import PLATFORM
from sopslab.model.quantities import quantity

SEAT = "ada"
GENERATION = "5f0c9a31e27b44"
GIT_URL = "http://lab-git:8080"
# The name stays text everywhere, and never becomes a number.
LAB = "007"
LABEL = "sops-lab/seat"
FINALIZER = "finalizers.fluxcd.io"
DEVELOP, SYSTEM = seat_namespace(SEAT), seat_system_namespace(SEAT)

# The objects that a seat costs the cluster. Change this together with the base, and on purpose.
KINDS = {
    "GitRepository": 1,
    "Kustomization": 1,
    "LimitRange": 1,
    "Namespace": 2,
    "NetworkPolicy": 2,
    "Receiver": 1,
    "ResourceQuota": 1,
    "RoleBinding": 2,
    "ServiceAccount": 2,
}
POLICIES = {
    "sops-lab-finalizers",
    "sops-lab-kustomizations",
    "sops-lab-namespaces",
    "sops-lab-pods",
    "sops-lab-secrets",
    "sops-lab-services",
    "sops-lab-sizes",
    "sops-lab-sources",
    "sops-lab-templates",
}
# What controllers make from objects that somebody may make. Nobody may make it by hand.
MADE_OF = {
    "deployments": "replicasets.apps",
    "statefulsets": "controllerrevisions.apps",
    "cronjobs": "jobs.batch",
    "jobs": "pods",
    "services": "endpointslices.discovery.k8s.io endpoints",
}
READ = {"get", "list", "watch"}
WRITE = {"create", "update", "patch", "delete"}


SHARED = {"git_url": GIT_URL, "lab": LAB, "tenant_base_tag": "tenant-base-0123abcd"}


def overlay(folder: Path, seat: str, *, suspended: bool = False) -> dict[str, Any]:
    """Return the Kustomization that the platform repository gets for a seat."""
    shutil.copy(PLATFORM / "tenants" / "overlay.yaml.j2", folder)
    user = seat_user(seat, GENERATION)
    values = {
        "git_url": GIT_URL, "interval": "1m0s", "lab": LAB, "seat": seat, "user": user,
        "suspended": suspended, "lab_id": None,
    }  # fmt: skip
    (document,) = yaml.safe_load_all(render_tree(folder, values)["overlay.yaml"].content)
    return dict(document)


def base_text(seat_values: dict[str, str]) -> str:
    """Return the base as Flux applies it: built, labelled and filled in."""
    base = PLATFORM / "tenants" / "base"
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())
    (labels,) = kustomization["labels"]
    documents = []
    for name in kustomization["resources"]:
        for document in yaml.safe_load_all((base / name).read_text()):
            metadata = document["metadata"]
            metadata["labels"] = {**metadata.get("labels", {}), **labels["pairs"]}
            documents.append(document)
    text = yaml.safe_dump_all(documents, sort_keys=False, width=1000)
    for name, value in seat_values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def seat_objects(folder: Path, seat: str) -> list[dict[str, Any]]:
    values = overlay(folder, seat)["spec"]["postBuild"]["substitute"]
    return list(yaml.safe_load_all(base_text(values)))


def classroom() -> list[dict[str, Any]]:
    """Return the objects that the cluster has once for the whole class."""
    files = render_tree(
        PLATFORM / "clusters" / "lab" / "classroom",
        {**SHARED, "lab_id": None},
    )
    return [
        document
        for name, file in files.items()
        if name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.content)
        if document
    ]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name
    ]
    return found


def granted(role: dict[str, Any]) -> dict[str, set[str]]:
    """Return each resource of a ClusterRole with its verbs."""
    return {
        resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]
    }


def test_every_file_of_the_base_is_built() -> None:
    base = PLATFORM / "tenants" / "base"
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())

    assert {path.name for path in base.iterdir()} == {
        "kustomization.yaml",
        *kustomization["resources"],
    }


def test_whatever_a_lab_makes_is_known_as_its_own(tmp_path: Path) -> None:
    for item in seat_objects(tmp_path, SEAT):
        assert item["metadata"]["labels"]["sops-lab"] == LAB
    given = {**SHARED, "lab_id": "0123456789abcdef"}
    files = render_tree(PLATFORM / "clusters" / "lab" / "classroom", given)
    kustomization = yaml.safe_load(files.pop("kustomization.yaml").content)
    pairs = {"sops-lab": LAB, "sops-lab/id": "0123456789abcdef"}
    assert kustomization["labels"] == [{"pairs": pairs}]
    assert set(kustomization["resources"]) == set(files)


def test_a_seat_is_made_of_known_kinds(tmp_path: Path) -> None:
    assert Counter(item["kind"] for item in seat_objects(tmp_path, SEAT)) == KINDS


# YAML reads the last four as a number, a boolean, nothing and a number.
def test_at_a_seat_whose_access_has_ended_source_and_kustomization_alone_are_suspended(
    tmp_path: Path,
) -> None:
    assert "patches" not in overlay(tmp_path, SEAT)["spec"]
    patches = overlay(tmp_path, SEAT, suspended=True)["spec"]["patches"]
    assert {patch["target"]["kind"] for patch in patches} == {"GitRepository", "Kustomization"}
    for patch in patches:
        (change,) = yaml.safe_load(patch["patch"])
        assert change == {"op": "add", "path": "/spec/suspend", "value": True}


@pytest.mark.parametrize("seat", ["ada", "a-b", "007", "true", "null", "1e3"])
def test_everything_of_a_seat_is_marked_and_in_its_namespaces(tmp_path: Path, seat: str) -> None:
    own = {seat_namespace(seat), seat_system_namespace(seat)}

    items = seat_objects(tmp_path, seat)
    assert {"Namespace", "GitRepository", "ResourceQuota"} <= {item["kind"] for item in items}
    for item in items:
        metadata = item["metadata"]
        assert metadata["labels"][LABEL] == seat, metadata
        is_namespace = item["kind"] == "Namespace"
        assert (metadata["name"] if is_namespace else metadata["namespace"]) in own, metadata


def test_the_overlay_gives_what_the_base_asks_for(tmp_path: Path) -> None:
    given = overlay(tmp_path, SEAT)["spec"]["postBuild"]["substitute"]
    asked = set(re.findall(r"\$\{([^}]*)\}", base_text({})))

    assert asked == set(given)
    assert given == {
        "git_url": GIT_URL,
        "interval": "1m0s",
        "lab": LAB,
        "quote": '"',
        "seat": SEAT,
        "user": f"sops-lab:{SEAT}:{GENERATION}",
    }
    assert "$" not in base_text(given)


@pytest.mark.parametrize("seat", ["ada", "007", "true"])
def test_the_overlay_applies_one_seat_from_the_base(tmp_path: Path, seat: str) -> None:
    document = overlay(tmp_path, seat)
    base = PLATFORM / "tenants" / "base"

    assert document["metadata"] == {
        "name": f"tenant-{seat}",
        "namespace": "flux-system",
        "labels": {LABEL: seat},
        "finalizers": [FINALIZER],
    }
    spec = document["spec"]
    assert spec["serviceAccountName"] == "kustomize-controller"
    assert spec["prune"] is True
    assert spec["sourceRef"] == {"kind": "GitRepository", "name": "tenant-base"}
    assert named(classroom(), "GitRepository", "tenant-base")["spec"]["ref"] == {
        "tag": "tenant-base-0123abcd"
    }
    assert PLATFORM / spec["path"].removeprefix("./flux/") == base


def test_flux_finds_its_finalizer_on_what_it_reconciles_and_on_nothing_else(tmp_path: Path) -> None:
    held = {
        item["kind"]: item["metadata"]["finalizers"]
        for item in seat_objects(tmp_path, SEAT)
        if "finalizers" in item["metadata"]
    }

    assert held == {kind: [FINALIZER] for kind in ("GitRepository", "Kustomization", "Receiver")}


def test_both_namespaces_restrict_their_pods(tmp_path: Path) -> None:
    namespaces = [item for item in seat_objects(tmp_path, SEAT) if item["kind"] == "Namespace"]

    assert len(namespaces) == 2
    for namespace in namespaces:
        labels = namespace["metadata"]["labels"]
        for mode in ("enforce", "audit", "warn"):
            assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
            assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "v1.37"


def test_rights_are_bound_in_the_learners_namespace_only(tmp_path: Path) -> None:
    objects = seat_objects(tmp_path, SEAT)
    bindings = [item for item in objects if item["kind"].endswith("RoleBinding")]

    assert {item["metadata"]["namespace"] for item in bindings} == {DEVELOP}
    assert [item["subjects"] for item in bindings] == [
        [{"kind": "ServiceAccount", "name": "reconciler", "namespace": SYSTEM}],
        [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "User",
                "name": seat_user(SEAT, GENERATION),
            }
        ],
    ]
    assert [item["roleRef"]["name"] for item in bindings] == [
        "sops-lab-reconciler",
        "sops-lab-learner",
    ]


def test_no_service_account_of_a_seat_hands_out_a_token(tmp_path: Path) -> None:
    accounts = [item for item in seat_objects(tmp_path, SEAT) if item["kind"] == "ServiceAccount"]

    assert [account["automountServiceAccountToken"] for account in accounts] == [False, False]


def test_the_network_is_closed_but_for_names_and_the_seats_own_pods(tmp_path: Path) -> None:
    objects = seat_objects(tmp_path, SEAT)
    develop = named(objects, "NetworkPolicy", "seat")["spec"]
    system = named(objects, "NetworkPolicy", "deny-all")["spec"]

    assert develop["podSelector"] == system["podSelector"] == {}
    assert develop["policyTypes"] == system["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(system)
    assert develop["ingress"] == [{"from": [{"podSelector": {}}]}]
    own, names = develop["egress"]
    assert own == {"to": [{"podSelector": {}}]}
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {
        ("UDP", 53),
        ("TCP", 53),
    }
    (dns,) = names["to"]
    assert dns["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"}
    assert dns["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kube-system"}


def test_the_quota_bounds_what_can_be_made_and_forbids_what_must_not(tmp_path: Path) -> None:
    hard = named(seat_objects(tmp_path, SEAT), "ResourceQuota", "seat")["spec"]["hard"]

    for name in ("pods", "count/configmaps", "count/secrets", "limits.cpu", "limits.memory"):
        assert hard[name] != "0"
    closed = {name for name, value in hard.items() if value == "0"}
    assert {"services.nodeports", "services.loadbalancers", "requests.storage"} <= closed
    assert {name for name in hard if ".toolkit.fluxcd.io" in name} <= closed
    # YAML reads a bare 5 as a number, and a quantity has to be text.
    assert all(isinstance(value, str) for value in hard.values())


def test_what_a_container_may_have_begins_above_nothing(tmp_path: Path) -> None:
    seat = seat_objects(tmp_path, SEAT)
    (container,) = named(seat, "LimitRange", "seat")["spec"]["limits"]

    assert container["type"] == "Container"
    least, given, most = (container[name] for name in ("min", "defaultRequest", "max"))
    assert set(least) == set(given) == set(container["default"]) == set(most)
    for name, value in least.items():
        assert 0 < quantity(value) <= quantity(given[name]), name


def counted(hard: dict[str, str]) -> set[str]:
    """Return the resources of which a quota counts every object, finished ones included."""
    return {name.removeprefix("count/") for name in hard if name.startswith("count/")} | (
        {"persistentvolumeclaims", "services"} & set(hard)
    )


@pytest.mark.parametrize("name", ["sops-lab-learner", "sops-lab-reconciler"])
def test_whatever_can_be_made_is_counted_and_what_is_made_of_it(tmp_path: Path, name: str) -> None:
    hard = named(seat_objects(tmp_path, SEAT), "ResourceQuota", "seat")["spec"]["hard"]
    makeable = {
        f"{resource}.{group}".rstrip(".")
        for rule in named(classroom(), "ClusterRole", name)["rules"]
        if {"create", "update", "patch"} & set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if "/" not in resource
    }
    made = {one for resource in makeable for one in MADE_OF.get(resource.split(".")[0], "").split()}

    assert makeable | made <= counted(hard)


def test_the_delivery_is_bounded_and_has_the_reconcilers_rights(tmp_path: Path) -> None:
    objects = seat_objects(tmp_path, SEAT)
    spec = named(objects, "Kustomization", "secrets-develop")["spec"]
    source = named(objects, "GitRepository", "lab")["spec"]

    assert spec["serviceAccountName"] == "reconciler"
    assert spec["targetNamespace"] == DEVELOP
    assert spec["decryption"] == {"provider": "sops", "secretRef": {"name": "sops-age"}}
    assert spec["sourceRef"] == {"kind": "GitRepository", "name": "lab"}
    assert spec["prune"] and spec["wait"]
    assert spec["timeout"] == "1m0s"
    assert source["url"] == f"{GIT_URL}/{SEAT}/lab.git"
    assert source["secretRef"] == {"name": "git-credentials"}


@pytest.mark.parametrize("name", ["sops-lab-learner", "sops-lab-reconciler"])
def test_roles_name_what_they_grant(name: str) -> None:
    role = named(classroom(), "ClusterRole", name)

    assert "aggregationRule" not in role
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}, rule
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], rule


@pytest.mark.parametrize("name", ["sops-lab-learner", "sops-lab-reconciler"])
@pytest.mark.parametrize(
    "resource",
    [
        "bindings",
        "clusterrolebindings",
        "clusterroles",
        "daemonsets",
        "endpointslices",
        "limitranges",
        "namespaces",
        "networkpolicies",
        "resourcequotas",
        "rolebindings",
        "roles",
        "serviceaccounts",
    ],
)
def test_no_role_may_change_what_a_seat_is_made_of(name: str, resource: str) -> None:
    assert granted(named(classroom(), "ClusterRole", name)).get(resource, set()) <= READ


@pytest.mark.parametrize("name", ["sops-lab-learner", "sops-lab-reconciler"])
def test_no_role_reaches_beyond_its_namespace(name: str) -> None:
    role = named(classroom(), "ClusterRole", name)
    groups = {group for rule in role["rules"] for group in rule["apiGroups"]}
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}

    assert not [group for group in groups if "fluxcd" in group]
    assert verbs <= READ | WRITE | {"deletecollection"}
    assert not {
        "pods/attach",
        "pods/ephemeralcontainers",
        "pods/eviction",
        "pods/proxy",
        "serviceaccounts/token",
        "services/proxy",
    } & set(granted(role))


def test_a_learner_reads_secrets_and_writes_none() -> None:
    role = named(classroom(), "ClusterRole", "sops-lab-learner")

    assert granted(role)["secrets"] == READ | {"delete"}


def test_policies_fail_closed_and_deny() -> None:
    objects = classroom()
    policies = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [item for item in objects if item["kind"] == "ValidatingAdmissionPolicyBinding"]

    assert {policy["metadata"]["name"] for policy in policies} == POLICIES
    assert {policy["spec"]["failurePolicy"] for policy in policies} == {"Fail"}
    assert {binding["spec"]["policyName"] for binding in bindings} == POLICIES
    for binding in bindings:
        assert binding["spec"]["validationActions"] == ["Deny"]
        # A binding could exclude what the policy is meant to match.
        assert set(binding["spec"]) == {"policyName", "validationActions"}


def test_policies_look_at_seats_only_and_say_what_is_wrong() -> None:
    policies = [item for item in classroom() if item["kind"] == "ValidatingAdmissionPolicy"]

    assert policies
    for policy in policies:
        constraints = policy["spec"]["matchConstraints"]
        selector = constraints.get("namespaceSelector") or constraints["objectSelector"]
        assert selector == {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}
        assert all(validation["message"] for validation in policy["spec"]["validations"])
        for rule in constraints["resourceRules"]:
            assert rule["operations"] == ["CREATE", "UPDATE"]
            # `namespaceSelector` does not exclude objects without a namespace.
            assert (
                rule["resources"] != ["*"]
                or rule.get("scope") == "Namespaced"
                or (rule["apiGroups"] == ["source.toolkit.fluxcd.io"])
            )


def test_the_mark_of_a_namespace_is_looked_for_before_and_after_a_change() -> None:
    policy = named(classroom(), "ValidatingAdmissionPolicy", "sops-lab-namespaces")

    # A namespace selector would look at the labels that the request sets.
    assert "objectSelector" in policy["spec"]["matchConstraints"]
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["namespaces", "namespaces/status", "namespaces/finalize"]


def test_no_policy_matches_by_what_the_api_server_does_not_know_there() -> None:
    policies = [item for item in classroom() if item["kind"] == "ValidatingAdmissionPolicy"]

    # In matchConditions, `namespaceObject` is empty, and the request would fail.
    assert not [policy for policy in policies if "matchConditions" in policy["spec"]]


def test_a_source_is_pinned_to_the_labs_git_server() -> None:
    policy = named(classroom(), "ValidatingAdmissionPolicy", "sops-lab-sources")
    expressions = [item["expression"] for item in policy["spec"]["validations"]]

    assert any(f"'{GIT_URL}/' + variables.seat + '/lab.git'" in text for text in expressions)
