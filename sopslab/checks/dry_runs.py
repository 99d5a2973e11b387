"""Dry runs that the API server has to refuse where it enforces what holds the seats of a class
apart: a privileged pod, and what a policy of our own forbids."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks import causes
from sopslab.checks.controller_pods import ACCOUNT
from sopslab.layout import ID_LABEL, LAB_LABEL
from sopslab.model.objects import Object, label

POLICY_KINDS = ("validatingadmissionpolicybindings", "validatingadmissionpolicies")
# How the API server names who refuses.
POD_SECURITY = "violates PodSecurity"
_FORBIDDEN = "forbidden"
_ADMISSION = "admissionregistration.k8s.io/v1"


def privileged_pod() -> Object:
    """Return a pod that Pod Security `restricted` forbids."""
    container = {"name": "root", "image": "root", "securityContext": {"privileged": True}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged"},
        "spec": {
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }


def forbidden_object() -> Object:
    """Return what the policy forbids."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _FORBIDDEN}}


def policy(name: str, namespace: Object) -> list[Object]:
    """Return a policy that lets nobody make one ConfigMap in a namespace, and what binds it there.

    + name: that of both
    + namespace: as the cluster has it: where it goes, these go, too
    """
    owner = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "name": namespace["metadata"]["name"],
        "uid": namespace["metadata"]["uid"],
    }
    labels = ((key, label(namespace, key)) for key in (LAB_LABEL, ID_LABEL))
    ours = {key: value for key, value in labels if value is not None}
    metadata = {"name": name, "labels": ours, "ownerReferences": [owner]}
    matched = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    selected = {"matchLabels": {"kubernetes.io/metadata.name": owner["name"]}}
    return [
        {
            "apiVersion": _ADMISSION,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": selected,
                    "resourceRules": [{**matched, "operations": ["CREATE"]}],
                },
                "validations": [
                    {
                        "expression": f"object.metadata.name != '{_FORBIDDEN}'",
                        "message": "this is a probe",
                    }
                ],
            },
        },
        {
            "apiVersion": _ADMISSION,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": selected},
            },
        },
    ]


def policy_words(name: str) -> str:
    """Return how the API server says that a policy refuses."""
    return f"ValidatingAdmissionPolicy '{name}'"


def refusal(lines: Sequence[str] | None, who: str) -> str:
    """Return "" where it was this one who refused a dry run, by the API server's words, and else
    why that is not known; None are the words of one that went through."""
    if lines is None:
        return "is not refused"
    if any(who in line for line in lines):
        return ""
    return f"is refused for another reason ({causes.refused(lines)})"


def no_policy(lines: Sequence[str]) -> str:
    """Return why nothing is known where the policy itself was refused."""
    return f"cannot be tried, since the policy is refused ({causes.refused(lines)})"
