"""The API server's answers to objects of a seat, by the policies of a class.

CEL's own runtime evaluates the expressions. Only an API server can say whether somebody may
administer seats; here, an authorizer of ours answers that.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

import pytest
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from sopslab.model.rights import ADMINISTRATION
from tests.refused_objects import KUSTOMIZATIONS, sources
from tests.unit.test_tenants import GIT_URL, classroom, named, seat_objects

DEVELOP, SYSTEM = "ada-develop", "lab-ada-sys"
LEARNER = "sops-lab:ada:1"
RECONCILER = f"system:serviceaccount:{SYSTEM}:reconciler"
ASKED = f"platform/{ADMINISTRATION.group}/{ADMINISTRATION.resource}/{ADMINISTRATION.verb}"
"""The permission that the policies ask an authorizer for, as the platform."""


def _asked(name: str) -> cel.FunctionDecl:
    text = cel.Type.STRING
    return cel.FunctionDecl(
        name,
        [cel.Overload(name, text, [text, text], is_member=True, impl=lambda a, b: f"{a}/{b}")],
    )


ALLOWED = cel.Overload(
    "allowed",
    cel.Type.BOOL,
    [cel.Type.STRING],
    is_member=True,
    impl=lambda asked: asked == ASKED,
)
ENVIRONMENT = cel.NewEnv(
    variables=dict.fromkeys(
        ("object", "oldObject", "request", "namespaceObject", "variables"), cel.Type.DYN
    )
    | {"authorizer": cel.Type.STRING},
    extensions=[ext_strings.ExtStrings()],
    functions=[
        *map(_asked, ("group", "resource", "check")),
        cel.FunctionDecl("allowed", [ALLOWED]),
    ],
)
compiled = functools.cache(ENVIRONMENT.compile)


@functools.cache
def specs() -> dict[str, Any]:
    """Return the spec of each policy, by its short name."""
    return {
        item["metadata"]["name"].removeprefix("sops-lab-"): item["spec"]
        for item in classroom()
        if item["kind"] == "ValidatingAdmissionPolicy"
    }


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
    """Return why an object in a namespace of the seat ada is refused."""
    spec = specs()[policy]
    known: dict[str, Any] = {
        "object": thing,
        "oldObject": old,
        "request": {
            "namespace": namespace,
            "userInfo": {"username": user},
            "resource": {"resource": resource},
        },
        "namespaceObject": {"metadata": {"labels": {"sops-lab/seat": "ada"}}},
        "variables": {},
        "authorizer": "platform" if platform else "learner",
    }

    def value(expression: str) -> Any:
        found = compiled(expression).eval(data=known)
        # An error in an expression refuses, too: failurePolicy is Fail.
        return found.plain_value() if found.type() != cel.Type.ERROR else None

    for variable in spec.get("variables", []):
        known["variables"][variable["name"]] = value(variable["expression"])
    return [one["message"] for one in spec["validations"] if value(one["expression"]) is not True]


def changed(thing: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """Return an object with changes to its spec; None removes a field."""
    made = copy.deepcopy(dict(thing))
    made["spec"] |= spec
    made["spec"] = {name: value for name, value in made["spec"].items() if value is not None}
    return made


# What is looked at


def looking(group: str, resource: str, operation: str, namespaced: bool) -> set[str]:
    """Return the policies that look at an operation on a resource."""
    return {
        name
        for name, spec in specs().items()
        for rule in spec["matchConstraints"]["resourceRules"]
        if {group, "*"} & set(rule["apiGroups"])
        and (resource in rule["resources"] or ("/" not in resource and "*" in rule["resources"]))
        and operation in rule["operations"]
        and (namespaced or rule.get("scope") != "Namespaced")
        and rule["apiVersions"] == ["*"]
    }


ANY, SIZED = {"finalizers"}, {"finalizers", "sizes"}


@pytest.mark.parametrize(
    ("group", "resources", "policies"),
    [
        ("", "secrets", {"secrets"} | SIZED),
        ("", "pods", {"pods"} | SIZED),
        ("", "services", {"services"} | SIZED),
        ("", "services/status", {"services"}),
        ("", "configmaps persistentvolumeclaims", SIZED),
        ("apps", "deployments statefulsets replicasets daemonsets", {"templates"} | SIZED),
        ("batch", "jobs cronjobs", {"templates"} | SIZED),
        ("apps", "controllerrevisions", SIZED),
        ("kustomize.toolkit.fluxcd.io", "kustomizations", {"kustomizations"} | ANY),
        ("source.toolkit.fluxcd.io", "gitrepositories buckets ocirepositories", {"sources"} | ANY),
        ("rbac.authorization.k8s.io", "roles", ANY),
    ],
)
def test_what_is_made_and_changed_is_looked_at(
    group: str, resources: str, policies: set[str]
) -> None:
    for resource in resources.split():
        assert looking(group, resource, "CREATE", True) == policies
        assert looking(group, resource, "UPDATE", True) == policies
        assert looking(group, resource, "DELETE", True) == set()


def test_of_what_is_in_no_namespace_only_namespaces_are_looked_at() -> None:
    for operation in ("CREATE", "UPDATE"):
        for resource in ("namespaces", "namespaces/status", "namespaces/finalize"):
            assert looking("", resource, operation, False) == {"namespaces"}
        assert looking("", "nodes", operation, False) == set()
        assert looking("rbac.authorization.k8s.io", "clusterroles", operation, False) == set()


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


@pytest.fixture(scope="module")
def seat(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return seat_objects(tmp_path_factory.mktemp("seat"), "ada")


@pytest.fixture
def kustomization(seat: list[dict[str, Any]]) -> dict[str, Any]:
    return named(seat, "Kustomization", "secrets-develop")


@pytest.fixture
def source(seat: list[dict[str, Any]]) -> dict[str, Any]:
    return named(seat, "GitRepository", "lab")


def test_what_a_seat_is_made_of_is_let_in(
    kustomization: dict[str, Any], source: dict[str, Any]
) -> None:
    assert refused("kustomizations", kustomization, namespace=SYSTEM) == []
    assert refused("sources", source, namespace=SYSTEM, resource="gitrepositories") == []


@pytest.mark.parametrize(
    "change",
    [
        {"interval": "30s"},
        {"retryInterval": "5s"},
        {"retryInterval": None},
        {"timeout": "5m"},
        {"postBuild": None},
        {"postBuild": {"substitute": {"a": "b"}}},
        {"sourceRef": {"kind": "GitRepository", "name": "lab"}},
        {"sourceRef": {"kind": "GitRepository", "name": "lab", "namespace": SYSTEM}},
    ],
)
def test_a_kustomization_may_go_as_far_as_that(
    kustomization: dict[str, Any], change: dict[str, Any]
) -> None:
    assert refused("kustomizations", changed(kustomization, **change), namespace=SYSTEM) == []


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
    assert len(refused("sources", thing, namespace=namespace, resource=resource)) == 1


# What a learner makes


def test_the_labels_of_a_namespace_are_the_platforms() -> None:
    before = {"metadata": {"labels": {"sops-lab/seat": "ada", "x": "restricted"}}}
    after = {"metadata": {"labels": {"sops-lab/seat": "ada", "x": "privileged"}}}
    assert refused("namespaces", before, old=before) == []
    assert refused("namespaces", after, old=before) != []
    assert refused("namespaces", before) != []
    assert refused("namespaces", after, old=before, platform=True) == []


PODS: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"nodeName": "lab-control-plane"}, "spec.nodeName"),
    ({"priorityClassName": "mine"}, None),
    ({"priorityClassName": "system-node-critical"}, "spec.priorityClassName"),
    ({"tolerations": [{"operator": "Exists"}]}, "spec.tolerations"),
    ({"tolerations": [{"key": "node-role.kubernetes.io/x"}]}, "spec.tolerations"),
    ({"tolerations": [{"key": "node.kubernetes.io/not-ready"}]}, None),
    ({"tolerations": [{"key": "mine"}, {"operator": "Exists"}]}, "spec.tolerations"),
    ({"tolerations": []}, None),
    ({"terminationGracePeriodSeconds": 30}, None),
    ({"terminationGracePeriodSeconds": 31}, "terminationGracePeriodSeconds"),
]


def probing(where: str, handler: dict[str, Any], kind: str = "containers") -> dict[str, Any]:
    """Return the spec of a pod whose second container asks something, as a probe or in a hook."""
    asks = (
        {"lifecycle": {where: handler}} if where in ("postStart", "preStop") else {where: handler}
    )
    spec: dict[str, Any] = {"containers": [{"name": "first"}]}
    spec[kind] = [*spec.get(kind, []), {"name": "second", **asks}]
    return spec


HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop")
ASKING: list[dict[str, Any]] = [
    {"httpGet": {"port": 80}},
    {"httpGet": {"port": 80, "host": ""}, "periodSeconds": 1},
    {"tcpSocket": {"port": 80}},
    {"tcpSocket": {"port": 80, "host": ""}},
    {"exec": {"command": ["true"]}},
    {"grpc": {"port": 80}},
]
HOSTS: list[dict[str, Any]] = [
    {"httpGet": {"port": 80, "host": "10.0.0.1"}},
    {"tcpSocket": {"port": 80, "host": "127.0.0.1"}},
]
PODS += [(probing(where, handler), None) for where in HANDLERS for handler in ASKING]
PODS += [
    (probing(where, handler, kind), "must not name a host")
    for where in HANDLERS
    for handler in HOSTS
    for kind in ("containers", "initContainers")
]


@pytest.mark.parametrize(("spec", "reason"), PODS)
def test_a_pod_keeps_to_its_seat(spec: dict[str, Any], reason: str | None) -> None:
    said = refused("pods", {"spec": spec})
    assert len(said) == (reason is not None)
    assert all(str(reason) in one for one in said)
    # An object from before the policy may be changed in every other way, and deleted.
    assert refused("pods", {"spec": spec}, old={"spec": spec}) == []
    # The scheduler sets the node of an existing pod.
    if reason != "spec.nodeName":
        assert refused("pods", {"spec": spec}, old={"spec": {"other": 1}}) == said


def templated(resource: str, template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return an object that makes pods from a template."""
    if resource == "cronjobs":
        return {"spec": {"jobTemplate": {"spec": {"template": template}}}}
    return {"spec": {"template": template, **spec}}


@pytest.mark.parametrize("resource", ["deployments", "statefulsets", "jobs", "cronjobs"])
@pytest.mark.parametrize(("spec", "reason"), PODS)
def test_a_template_is_judged_as_its_pods(
    resource: str, spec: dict[str, Any], reason: str | None
) -> None:
    thing = templated(resource, {"spec": spec})
    said = refused("templates", thing, resource=resource)
    assert len(said) == (reason is not None)
    assert all(str(reason) in one for one in said)
    assert refused("templates", thing, old=thing, resource=resource) == []
    before = templated(resource, {"spec": {"other": 1}})
    assert refused("templates", thing, old=before, resource=resource) == said


HELD: dict[str, Any] = {"metadata": {"finalizers": ["example.org/hold"]}}


@pytest.mark.parametrize("resource", ["deployments", "statefulsets", "jobs", "cronjobs"])
def test_a_template_holds_nothing(resource: str) -> None:
    templates: list[dict[str, Any]] = [{"spec": {}}, {"metadata": {}, "spec": {}}]
    for template in templates:
        assert refused("templates", templated(resource, template), resource=resource) == []
    held = templated(resource, {**HELD, "spec": {}})
    (said,) = refused("templates", held, resource=resource)
    assert "metadata.finalizers" in said
    assert refused("templates", held, old=held, resource=resource) == []
    before = templated(resource, {"spec": {}})
    assert refused("templates", held, old=before, resource=resource) == [said]
    none = templated(resource, {"metadata": {"finalizers": []}, "spec": {}})
    assert refused("templates", none, resource=resource) == []


def test_nor_does_the_template_of_a_job() -> None:
    job = templated("cronjobs", {"spec": {}})
    job["spec"]["jobTemplate"]["metadata"] = {}
    assert refused("templates", job, resource="cronjobs") == []
    job["spec"]["jobTemplate"] |= HELD
    (said,) = refused("templates", job, resource="cronjobs")
    assert "metadata.finalizers" in said
    # A Deployment has no such field.
    plain = templated("deployments", {"spec": {}}, jobTemplate=HELD)
    assert refused("templates", plain, resource="deployments") == []


def test_nor_does_a_claim_of_a_stateful_set() -> None:
    def claiming(*claims: dict[str, Any]) -> dict[str, Any]:
        return templated("statefulsets", {"spec": {}}, volumeClaimTemplates=list(claims))

    assert refused("templates", claiming(), resource="statefulsets") == []
    assert refused("templates", claiming({}, {"metadata": {}}), resource="statefulsets") == []
    for claims in ([HELD], [{}, HELD]):
        (said,) = refused("templates", claiming(*claims), resource="statefulsets")
        assert "metadata.finalizers" in said
    assert refused("templates", claiming(HELD), resource="deployments") == []


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("ü", 2)])
def test_an_object_may_have_so_many_bytes(letter: str, size: int) -> None:
    def of(length: int) -> dict[str, Any]:
        # The rest of the object, `{a: }`, has five bytes.
        return {"a": letter * ((length - 5) // size) + "x" * ((length - 5) % size)}

    assert refused("sizes", of(128 * 1024)) == []
    (said,) = refused("sizes", of(128 * 1024 + 1))
    assert "128 KiB" in said


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ExternalName"])
def test_a_service_stays_in_the_cluster(kind: str) -> None:
    assert refused("services", {"spec": {}}) == refused("services", {"spec": {"type": "ClusterIP"}})
    assert refused("services", {"spec": {"type": "ClusterIP"}}) == []
    assert refused("services", {"spec": {"type": kind}}) != []
    assert refused("services", {"spec": {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}}) != []


def test_a_service_has_a_few_ports() -> None:
    def ports(number: int) -> dict[str, Any]:
        return {"spec": {"ports": [{"port": 1 + one} for one in range(number)]}}

    assert refused("services", ports(0)) == refused("services", ports(10)) == []
    assert refused("services", ports(11)) == ["spec.ports may have 10 entries"]


def holding(*finalizers: str) -> dict[str, Any]:
    return {"metadata": {"finalizers": list(finalizers)}}


@pytest.mark.parametrize(
    "finalizer",
    ["example.org/hold", "kubernetes.io/pvc-protection", "batch.kubernetes.io/job-tracking"],
)
def test_a_finalizer_that_nobody_takes_away_is_refused(finalizer: str) -> None:
    held = holding(finalizer)
    assert refused("finalizers", held, resource="configmaps") != []
    assert refused("finalizers", held, resource="configmaps", platform=True) == []
    # An object that has it already may be changed in every other way.
    assert refused("finalizers", held, old=held, resource="configmaps") == []
    assert refused("finalizers", held, old={"metadata": {}}, resource="configmaps") != []
    assert refused("finalizers", held, resource="configmaps", namespace=SYSTEM) == []
    both = holding("orphan", finalizer)
    assert refused("finalizers", both, old=holding("orphan"), resource="configmaps") != []


@pytest.mark.parametrize("things", [{"metadata": {}}, holding("orphan", "foregroundDeletion")])
def test_what_kubernetes_itself_adds_is_let_in(things: dict[str, Any]) -> None:
    assert refused("finalizers", things) == []


JOB_TRACKING = "batch.kubernetes.io/job-tracking"


@pytest.mark.parametrize(
    ("finalizer", "resource", "user", "accepted"),
    [
        ("kubernetes.io/pvc-protection", "persistentvolumeclaims", LEARNER, True),
        ("example.org/hold", "persistentvolumeclaims", LEARNER, False),
        (JOB_TRACKING, "pods", "system:serviceaccount:kube-system:job-controller", True),
        (JOB_TRACKING, "pods", "system:kube-controller-manager", True),
        (JOB_TRACKING, "pods", LEARNER, False),
        (JOB_TRACKING, "configmaps", "system:kube-controller-manager", False),
        ("example.org/hold", "pods", "system:kube-controller-manager", False),
    ],
)
def test_and_from_whom(finalizer: str, resource: str, user: str, accepted: bool) -> None:
    said = refused("finalizers", holding(finalizer), resource=resource, user=user)
    assert (said == []) == accepted
