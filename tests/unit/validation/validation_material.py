"""Parts of the small repositories of these tests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sopslab.policy.findings import Finding
from tests.marks import partly_soak


def cipher(kind: str = "str", seed: str = "x", size: int = 9) -> str:
    """Return a text in the form of a value of *size* bytes that sops encrypted."""
    parts = ((seed.encode() * size)[:size], b"i" * 32, b"t" * 16)
    data, iv, tag = (base64.b64encode(part).decode() for part in parts)
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:{kind}]"


def wrapped(seed: str = "k") -> str:
    """Return a text in the form of a data key that age encrypted, on one line of YAML."""
    header = f"age-encryption.org/v1\n-> X25519 {'a' * 43}\n{'b' * 43}\n--- {'c' * 43}\n"
    body = base64.b64encode(header.encode() + seed.encode() * 64).decode()
    dashes = "-" * 5
    name = "AGE ENCRYPTED FILE"
    return f'"{dashes}BEGIN {name}{dashes}\\n{body}\\n{dashes}END {name}{dashes}\\n"'


def encrypted(
    name: str = "backend-secrets",
    namespace: str = "develop",
    kind: str = "str",
    spare: str = "",
    key: str = "k",
) -> str:
    """Return a Secret in the form that sops writes; `spare` is added to its metadata, and each
    `key` gives another data key."""
    where = f"\n  namespace: {namespace}" if namespace else ""
    return f"""\
apiVersion: v1
kind: Secret
metadata:
  name: {name}{where}{spare}
stringData:
  PASSWORD: {cipher(kind)}
sops:
  age:
    - recipient: age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
      enc: {wrapped(key)}
  lastmodified: "2026-01-01T00:00:00Z"
  mac: {cipher("str", name, 128)}
  encrypted_regex: ^(data|stringData)$
  version: 3.13.3
"""


def flux(
    path: str, more: str = "", name: str = "app", decryption: bool = False, source: str = ""
) -> str:
    """Return a Flux Kustomization; `more` is the rest of its spec, two spaces deep."""
    key = "  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n"
    return f"""\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: flux-system
spec:
  interval: 1m
  prune: true
  path: ./{path}
  sourceRef:
    kind: GitRepository
    name: {source or "flux-system"}
{key if decryption else ""}{more}"""


def config(name: str = "settings", more: str = "", namespace: str = "") -> str:
    """Return a ConfigMap with one key; `more` is the rest of its data, two spaces deep."""
    where = f"\n  namespace: {namespace}" if namespace else ""
    head = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}{where}\n"
    return f"{head}data:\n  colour: blue\n{more}"


def listing(*resources: str, more: str = "") -> str:
    """Return a kustomization that lists resources."""
    lines = [f"  - {name}\n" for name in resources]
    head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    return head + "resources:" + (" []\n" if not lines else "\n") + "".join(lines) + more


def shown(findings: list[Finding]) -> list[tuple[str, int, str]]:
    """Return path, line and rule of findings."""
    return [(finding.path, finding.line, finding.rule) for finding in findings]


def one_of_each_rule(cases: Mapping[str, tuple[Any, list[Any]]]) -> list[Any]:
    """Return the names of cases; a case without a rule that is new in the list runs in `make soak`
    only."""
    seen: set[str] = set()
    again = set()
    for name, (_, expected) in cases.items():
        rules = {rule for _, _, rule in expected}
        if rules <= seen:
            again.add(name)
        seen |= rules
    return partly_soak(cases, again)
