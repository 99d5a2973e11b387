"""The rules of `sopslab validate`: their ids, which never change their meaning, and what to do."""

from __future__ import annotations

from sopslab.layout import KEY_SECRET
from sopslab.policy.findings import Finding

__all__ = ["BLOCKING", "FIXES", "finding"]

FIXES: dict[str, str] = {
    "yaml-invalid": "correct the YAML at this line",
    "yaml-duplicate-key": "keep one of the two keys",
    "not-an-object": "write a Kubernetes object with apiVersion, kind and metadata.name, "
    "or take the file out of the kustomization",
    "object-encrypted": "encrypt the values only: scripts/sops-encrypt-secret.sh does, and so does "
    "sops encrypt --encrypted-regex '^(data|stringData)$'",
    "kustomization-invalid": "write one mapping: apiVersion, kind and a list of resources",
    "kustomization-version": "write apiVersion: kustomize.config.k8s.io/v1beta1 and "
    "kind: Kustomization (the Flux Kustomization has another apiVersion and its own file)",
    "kustomization-encrypted": "decrypt it: sops decrypt --in-place on this file; "
    "kustomize has to read it",
    "kustomization-ambiguous": "keep one of the two files",
    "not-listed": "list it under resources",
    "listed-missing": "create the file, or take it out of the list",
    "listed-twice": "list it once",
    "not-added": "add it to the commit with git add",
    "symlink": "commit the file itself: Flux leaves symbolic links out",
    "remote-base": "copy what you need into the repository: Flux is told to load nothing from "
    "elsewhere",
    "path-escape": "refer to files of this repository only",
    "helm-chart": "use a HelmRelease: Flux does not let kustomize inflate charts",
    "duplicate-object": "keep one of the two",
    "build-failed": "correct the kustomization",
    "schema": "write the object as its schema wants it: kubectl explain shows the fields",
    "unknown-kind": "correct apiVersion and kind: the lab's cluster knows no such kind",
    "namespace-missing": "write metadata.namespace into the file before it is encrypted",
    "namespace-mismatch": "make the Secret again for the right environment: "
    "scripts/sops-encrypt-secret.sh",
    "namespace-object": "take the Namespace out: it belongs to the platform, and Flux would rename "
    "or prune it",
    "encrypted-transformed": "take the transformation out, and write the Secret as it has to be "
    "before it is encrypted",
    "flux-path-missing": "set spec.path to a folder of the repository, such as "
    "./flux/secrets/develop",
    "flux-path-escape": "set spec.path to a folder of the repository",
    "decryption-missing": f"add spec.decryption with provider: sops and "
    f"secretRef.name: {KEY_SECRET}",
    "decryption-provider": "set spec.decryption.provider to sops; there is no other",
    "decryption-secret": f"set spec.decryption.secretRef.name to {KEY_SECRET}",
}

BLOCKING = frozenset(
    {
        *("yaml-invalid", "yaml-duplicate-key", "not-an-object", "object-encrypted"),
        "kustomization-invalid",
        *("kustomization-version", "kustomization-encrypted", "kustomization-ambiguous"),
        *("listed-missing", "listed-twice", "not-added", "symlink", "remote-base", "path-escape"),
        *("helm-chart", "duplicate-object"),
    }
)
"""What keeps kustomize from building, or would make it look outside of the repository."""


def finding(path: str, line: int, rule: str, message: str, fix: str = "") -> Finding:
    """Return a finding; without a `fix` of its own it gets that of its rule."""
    return Finding(path, line, rule, message, fix or FIXES[rule])
