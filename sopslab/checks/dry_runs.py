"""Dry runs that the API server has to refuse if it enforces the isolation of a class's seats: one
of a privileged pod, and one of an object that our own policy forbids."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks import causes
from sopslab.checks.controller_pods import ACCOUNT
from sopslab.layout import ID_LABEL, LAB_LABEL
from sopslab.model.objects import Object, label

POLICY_KINDS = ("validatingadmissionpolicybindings", "validatingadmissionpolicies")
# The words by which the API server names the plugin that refuses.
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
    """Return the object that the policy forbids."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _FORBIDDEN}}


def policy(name: str, namespace: Object) -> list[Object]:
    """Return a policy that forbids one ConfigMap in a namespace, and its binding.

    + name: the name of both
    + namespace: the namespace as the cluster has it; it owns both, so they are deleted with it
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
    """Return the words by which the API server names a policy that refuses."""
    return f"ValidatingAdmissionPolicy '{name}'"


def refusal(lines: Sequence[str] | None, who: str) -> str:
    """Return "" if `who` refused a dry run, or else why the isolation is not proven.

    + lines: the API server's words, None if the dry run was not refused
    + who: the words by which the API server names the plugin or policy that has to refuse
    """
    if lines is None:
        return "is not refused"
    if any(who in line for line in lines):
        return ""
    return f"is refused for another reason ({causes.refused(lines)})"


def no_policy(lines: Sequence[str]) -> str:
    """Return why nothing is known about policies if the API server refused our policy itself."""
    return f"cannot be tried, since the policy is refused ({causes.refused(lines)})"
