"""Every right of a learner, spelled out, in every kind of namespace."""

from __future__ import annotations

import json

import pytest

from tests.cluster.isolation.hostile import Hostile
from tests.marks import mostly_soak

pytestmark = pytest.mark.every_provider

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_READ = "get list watch"
_ALL = "get list watch create update patch delete deletecollection"
# Everything that learners may do in their own namespace; they may do nothing anywhere else.
OWN: dict[str, str] = {
    "pods": _ALL,
    "pods/log": "get",
    "pods/exec": "get create",
    "pods/portforward": "get create",
    "services": _ALL,
    "configmaps": _ALL,
    "persistentvolumeclaims": _ALL,
    "secrets": "get list watch delete",
    "events": _READ,
    "resourcequotas": _READ,
    "limitranges": _READ,
    "serviceaccounts": _READ,
    "namespaces": "get",
    "deployments.apps": _ALL,
    "deployments.apps/scale": "get update patch",
    "statefulsets.apps": _ALL,
    "statefulsets.apps/scale": "get update patch",
    "replicasets.apps": _READ,
    "controllerrevisions.apps": _READ,
    "jobs.batch": _ALL,
    "cronjobs.batch": _ALL,
    "events.events.k8s.io": _READ,
    "networkpolicies.networking.k8s.io": _READ,
    "endpointslices.discovery.k8s.io": _READ,
    "rolebindings.rbac.authorization.k8s.io": _READ,
}
NOTHING = [
    "bindings",
    "componentstatuses",
    "endpoints",
    "nodes",
    "nodes/proxy",
    "persistentvolumes",
    "podtemplates",
    "pods/attach",
    "pods/ephemeralcontainers",
    "pods/eviction",
    "pods/proxy",
    "pods/resize",
    "pods/status",
    "replicationcontrollers",
    "resourcequotas/status",
    "namespaces/finalize",
    "namespaces/status",
    "serviceaccounts/token",
    "services/proxy",
    "services/status",
    "daemonsets.apps",
    "replicasets.apps/scale",
    "horizontalpodautoscalers.autoscaling",
    "certificatesigningrequests.certificates.k8s.io",
    "certificatesigningrequests.certificates.k8s.io/approval",
    "customresourcedefinitions.apiextensions.k8s.io",
    "apiservices.apiregistration.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "leases.coordination.k8s.io",
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "ingresses.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "roles.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "priorityclasses.scheduling.k8s.io",
    "storageclasses.storage.k8s.io",
    "csidrivers.storage.k8s.io",
    "kustomizations.kustomize.toolkit.fluxcd.io",
    "gitrepositories.source.toolkit.fluxcd.io",
    "ocirepositories.source.toolkit.fluxcd.io",
    "buckets.source.toolkit.fluxcd.io",
    "helmrepositories.source.toolkit.fluxcd.io",
    "helmcharts.source.toolkit.fluxcd.io",
    "receivers.notification.toolkit.fluxcd.io",
    "providers.notification.toolkit.fluxcd.io",
    "alerts.notification.toolkit.fluxcd.io",
]
# Questions besides the usual verbs: verb, resource, namespace; "" is the whole cluster.
SPECIAL = [
    ("*", "*.*", "ada-develop"),
    ("*", "*.*", ""),
    ("impersonate", "users", ""),
    ("impersonate", "groups", ""),
    ("impersonate", "serviceaccounts", "lab-ada-sys"),
    ("impersonate", "serviceaccounts", "ada-develop"),
    ("bind", "clusterroles.rbac.authorization.k8s.io", ""),
    ("bind", "roles.rbac.authorization.k8s.io", "ada-develop"),
    ("escalate", "clusterroles.rbac.authorization.k8s.io", ""),
    ("escalate", "roles.rbac.authorization.k8s.io", "ada-develop"),
    ("approve", "signers.certificates.k8s.io", ""),
    ("sign", "signers.certificates.k8s.io", ""),
    ("use", "podsecuritypolicies.policy", "ada-develop"),
    ("create", "tokenreviews.authentication.k8s.io", ""),
    ("create", "subjectaccessreviews.authorization.k8s.io", ""),
    ("create", "localsubjectaccessreviews.authorization.k8s.io", "ada-develop"),
]
OTHERS = ["lab-ada-sys", "bob-develop", "lab-bob-sys", "flux-system", "kube-system", "default", ""]
# What Kubernetes lets every authenticated user do, in any namespace: ask about themselves.
EVERYBODY = {
    ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
    ("authentication.k8s.io", "selfsubjectreviews", "create"),
}
PUBLIC = {
    "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*",
    "/readyz", "/version", "/version/",
}  # fmt: skip


def _ask(learner: Hostile, questions: list[tuple[str, str, str]]) -> list[bool]:
    """Ask the API server, as the learner, whether each verb on a resource is allowed."""
    reviews = []
    for verb, resource, namespace in questions:
        kind, _, subresource = resource.partition("/")
        plural, _, group = kind.partition(".")
        attributes = {
            "verb": verb,
            "resource": plural,
            "subresource": subresource,
            "group": group,
            "namespace": namespace,
        }
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        reviews.append({**review, "spec": {"resourceAttributes": attributes}})
    text = learner.create(*reviews, output="json").stdout
    decoder, answers, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        answer, end = decoder.raw_decode(rest)
        answers += answer.get("items", [answer])
        rest = rest[end:].strip()
    assert len(answers) == len(questions)
    return [bool(answer["status"].get("allowed")) for answer in answers]


def _matrix(learner: Hostile, namespace: str) -> dict[str, str]:
    """Return what a learner may do in a namespace: each resource with its verbs, if any."""
    questions = [(verb, resource, namespace) for resource in [*OWN, *NOTHING] for verb in VERBS]
    allowed: dict[str, str] = {}
    for (verb, resource, _), yes in zip(questions, _ask(learner, questions), strict=True):
        if yes:
            allowed[resource] = f"{allowed.get(resource, '')} {verb}".strip()
    return allowed


def test_a_learner_may_do_exactly_this_in_the_own_namespace(ada: Hostile) -> None:
    assert _matrix(ada, "ada-develop") == OWN


@pytest.mark.parametrize(
    "namespace",
    mostly_soak(OTHERS, "bob-develop", "flux-system", ""),
    ids=lambda name: name or "cluster",
)
def test_a_learner_may_do_nothing_elsewhere(ada: Hostile, namespace: str) -> None:
    assert _matrix(ada, namespace) == {}


def test_a_learner_has_no_right_that_leads_to_others(ada: Hostile) -> None:
    answers = zip(SPECIAL, _ask(ada, SPECIAL), strict=True)

    assert [question for question, yes in answers if yes] == []


@pytest.mark.parametrize("namespace", ["ada-develop", *OTHERS[:-1]])
def test_the_api_server_knows_of_no_other_right(ada: Hostile, namespace: str) -> None:
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
    text = ada.create({**review, "spec": {"namespace": namespace}}, output="json").stdout
    told = json.loads(text)
    status = (told["items"][0] if "items" in told else told)["status"]

    found = {
        (group, resource, verb)
        for rule in status["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    expected = set(EVERYBODY)
    if namespace == "ada-develop":
        for name, verbs in OWN.items():
            kind, slash, subresource = name.partition("/")
            plural, _, group = kind.partition(".")
            expected |= {(group, f"{plural}{slash}{subresource}", verb) for verb in verbs.split()}
    assert found == expected
    assert {url for rule in status["nonResourceRules"] for url in rule["nonResourceURLs"]} == PUBLIC


def test_a_learner_is_nobody_else(ada: Hostile) -> None:
    for claim in ("--as=system:admin", "--as=sops-lab:bob:1", "--as-group=system:masters"):
        claims = [claim] if claim.startswith("--as=") else ["--as=x", claim]
        # Somebody without rights would be refused, too, but as who is asking.
        assert "cannot impersonate" in ada.refused(*claims, "get", "pods"), claim
