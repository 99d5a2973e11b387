"""Changes of the `spec` of a seat's objects for Flux that are refused, whoever writes them."""

from __future__ import annotations

from typing import Any

# Changes of ada's Kustomization, each with the field that the refusal has to name.
KUSTOMIZATIONS: list[tuple[dict[str, Any], str]] = [
    ({"serviceAccountName": None}, "spec.serviceAccountName"),
    ({"serviceAccountName": "kustomize-controller"}, "spec.serviceAccountName"),
    ({"targetNamespace": None}, "spec.targetNamespace"),
    ({"targetNamespace": "bob-develop"}, "spec.targetNamespace"),
    ({"targetNamespace": "lab-ada-sys"}, "spec.targetNamespace"),
    ({"decryption": None}, "spec.decryption"),
    ({"decryption": {"provider": "sops"}}, "spec.decryption"),
    (
        {
            "decryption": {
                "provider": "sops",
                "secretRef": {"name": "sops-age"},
                "serviceAccountName": "default",
            }
        },
        "spec.decryption",
    ),
    ({"sourceRef": {"kind": "Bucket", "name": "lab"}}, "spec.sourceRef"),
    (
        {"sourceRef": {"kind": "GitRepository", "name": "lab", "namespace": "lab-bob-sys"}},
        "spec.sourceRef",
    ),
    ({"kubeConfig": {"secretRef": {"name": "x"}}}, "spec.kubeConfig"),
    ({"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "sops-age"}]}}, "postBuild"),
    ({"interval": "29s"}, "spec.interval"),
    ({"retryInterval": "4s"}, "spec.retryInterval"),
    ({"timeout": "5m1s"}, "spec.timeout"),
    ({"timeout": None}, "spec.timeout"),
]


def sources(git_url: str) -> list[dict[str, Any]]:
    """Return the changes of ada's GitRepository that are refused.

    + git_url: the URL of the lab's Git server
    """
    return [
        {"url": f"{git_url}/bob/lab.git"},
        {"url": f"{git_url}/ada/lab.git/../../bob/lab.git"},
        {"url": "http://example.org/ada/lab.git"},
        {"include": [{"repository": {"name": "x"}}]},
        {"proxySecretRef": {"name": "x"}},
    ]
