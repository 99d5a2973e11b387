"""The rules of `sopslab validate`: their ids, which never change their meaning, and what to do."""

from __future__ import annotations

from sopslab.layout import KEY_SECRET
from sopslab.policy.findings import Finding

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
    "kustomization-field": "correct the name of the field, or take it out",
    "kustomization-encrypted": "decrypt it: sops decrypt --in-place on this file; "
    "kustomize has to read it",
    "kustomization-ambiguous": "keep one of the two files",
    "not-listed": "list it under resources",
    "listed-missing": "create the file, or take it out of the list",
    "listed-twice": "list it once",
    "not-added": "add it to the commit with git add",
    "not-in-artifact": "take it out of .sourceignore or spec.ignore, or give it another name: Flux "
    "leaves out what they say, and by default images, archives and the files of CI systems",
    "git-filtered": "commit it as it is: take the attribute out of .gitattributes, then "
    "git add --renormalize; to keep values secret, encrypt them with sops",
    "submodule": "copy what you need into the repository",
    "symlink": "commit the file itself: Flux leaves symbolic links out",
    "remote-base": "copy what you need into the repository: Flux is told to load nothing from "
    "elsewhere",
    "path-escape": "refer to files of this repository only",
    "helm-chart": "use a HelmRelease: Flux does not let kustomize inflate charts",
    "duplicate-object": "keep one of the two",
    "build-failed": "correct the kustomization",
    "substitution": "define the variable in postBuild, write ${name:=default}, or $${name} to keep "
    "it as it is; the annotation kustomize.toolkit.fluxcd.io/substitute: disabled keeps a whole "
    "object",
    "secret-keys": "rename the keys in the plain file, and encrypt it again",
    "ciphertext-applied": "encrypt each Secret as a document of its own, and let a secretGenerator "
    "read encrypted files: Flux decrypts nothing else",
    "decrypted-exposed": "use the file in a secretGenerator only: a ConfigMap or another object "
    "would show what is in it",
    "encrypted-apart": "put all values into one file and encrypt that, or patch an object that is "
    "not encrypted",
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
    "flux-component-missing": "set spec.components to folders of the repository, relative to "
    "spec.path, or spec.ignoreMissingComponents: true",
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
        *("not-in-artifact", "git-filtered", "submodule", "flux-component-missing"),
        *("helm-chart", "duplicate-object"),
    }
)
"""Rules for what keeps kustomize from building, or makes it look outside of the repository."""


def finding(path: str, line: int, rule: str, message: str, fix: str = "") -> Finding:
    """Return a finding; without a `fix` of its own it gets that of its rule."""
    return Finding(path, line, rule, message, fix or FIXES[rule])
