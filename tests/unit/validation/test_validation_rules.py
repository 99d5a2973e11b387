"""One small repository for each rule: what is found, where, and that nothing else is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.policy import documents
from sopslab.policy.findings import Report
from sopslab.validation.engine import validate
from sopslab.validation.findings import FIXES
from sopslab.validation.objects import plain
from sopslab.validation.tree import read_tree
from tests.marks import partly_soak
from tests.unit.validation.test_validation_flux import FOUND as OF_FLUX
from tests.unit.validation.validation_material import (
    cipher,
    config,
    encrypted,
    listing,
    one_of_each_rule,
    shown,
)

Judge = Callable[[Mapping[str, str]], Report]
Write = Callable[[Mapping[str, str]], Path]

ENV = "flux/secrets/develop"
LISTS = f"{ENV}/kustomization.yaml"
SECRET = f"{ENV}/backend-secrets.yaml"
GOOD = {LISTS: listing("backend-secrets.yaml"), SECRET: encrypted()}
APP = "apps/kustomization.yaml"
CONFIG = config()


def flux(spec: str, name: str = "secrets-develop") -> str:
    return f"""\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {name}
  namespace: flux-system
spec:
  interval: 1m
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
{spec}"""


DECRYPTION = """\
  decryption:
    provider: sops
    secretRef:
      name: sops-age
"""
SECRETS_PATH = "  path: ./flux/secrets/develop\n"

FOUND: dict[str, tuple[dict[str, str], list[tuple[str, int, str]]]] = {
    "not-listed": (
        {**GOOD, f"{ENV}/other.yaml": encrypted("other")},
        [(LISTS, 3, "not-listed")],
    ),
    "not-listed-in-a-folder-below": (
        {**GOOD, f"{ENV}/more/other.yaml": encrypted("other")},
        [(LISTS, 3, "not-listed")],
    ),
    "not-listed-overlay-below": (
        {
            **GOOD,
            f"{ENV}/more/other.yaml": encrypted("other"),
            f"{ENV}/more/kustomization.yaml": listing("other.yaml"),
        },
        [(LISTS, 3, "not-listed")],
    ),
    "not-listed-but-commented-out": (
        {LISTS: listing() + "  # - backend-secrets.yaml\n", SECRET: encrypted()},
        [(LISTS, 4, "not-listed")],
    ),
    "not-listed-beyond-the-environments": (
        {APP: listing("a.yaml"), "apps/a.yaml": CONFIG, "apps/b.yaml": CONFIG},
        [(APP, 3, "not-listed")],
    ),
    "listed-missing": ({LISTS: listing("nope.yaml")}, [(LISTS, 4, "listed-missing")]),
    "listed-folder-without-kustomization": (
        {APP: listing("sub"), "apps/sub/a.yaml": CONFIG},
        [(APP, 4, "listed-missing")],
    ),
    "patch-file-missing": (
        {APP: listing("a.yaml", more="patches:\n  - path: p.yaml\n"), "apps/a.yaml": CONFIG},
        [(APP, 6, "listed-missing")],
    ),
    "generator-file-missing": (
        {APP: "configMapGenerator:\n  - name: x\n    files:\n      - key=none.conf\n"},
        [(APP, 4, "listed-missing")],
    ),
    "listed-twice": (
        {LISTS: listing("backend-secrets.yaml", "./backend-secrets.yaml"), SECRET: encrypted()},
        [(LISTS, 5, "listed-twice")],
    ),
    "remote-url": (
        {APP: listing("https://example.org/a.yaml")},
        [(APP, 4, "remote-base")],
    ),
    "remote-git": (
        {APP: listing("github.com/example/base//deploy?ref=v1")},
        [(APP, 4, "remote-base")],
    ),
    "remote-ssh": ({APP: listing("git@example.org:a/b.git")}, [(APP, 4, "remote-base")]),
    "remote-component": (
        {APP: "components:\n  - ssh://git@example.org/a/b\n"},
        [(APP, 2, "remote-base")],
    ),
    "remote-configuration": (
        {APP: "configurations:\n  - https://example.org/c.yaml\n"},
        [(APP, 2, "remote-base")],
    ),
    "path-escape": ({APP: listing("../../other/a.yaml")}, [(APP, 4, "path-escape")]),
    "path-escape-absolute": ({APP: listing("/etc/hosts")}, [(APP, 4, "path-escape")]),
    "path-escape-in-a-generator": (
        {APP: "configMapGenerator:\n  - name: x\n    files: [../../hosts]\n"},
        [(APP, 3, "path-escape")],
    ),
    "path-escape-in-a-plugin": (
        {
            APP: "generators:\n  - |-\n    apiVersion: builtin\n    kind: ConfigMapGenerator\n"
            "    metadata: {name: x}\n    files: [../../hosts]\n"
        },
        [(APP, 2, "path-escape")],
    ),
    "helm-chart": (
        {APP: "helmCharts:\n  - name: x\n    repo: https://example.org\n"},
        [(APP, 1, "helm-chart")],
    ),
    "kustomization-version": (
        {
            LISTS: GOOD[LISTS].replace("config.k8s.io/v1beta1", "toolkit.fluxcd.io/v1"),
            SECRET: encrypted(),
        },
        [(LISTS, 1, "kustomization-version")],
    ),
    "kustomization-kind": (
        {LISTS: GOOD[LISTS].replace("kind: Kustomization", "kind: Kustomize"), SECRET: encrypted()},
        [(LISTS, 2, "kustomization-version")],
    ),
    "kustomization-encrypted": (
        {**GOOD, LISTS: GOOD[LISTS] + encrypted()[encrypted().index("sops:") :]},
        [(LISTS, 5, "kustomization-encrypted")],
    ),
    "kustomization-ambiguous": (
        {**GOOD, f"{ENV}/kustomization.yml": GOOD[LISTS]},
        [(LISTS, 1, "kustomization-ambiguous")],
    ),
    "kustomization-two-documents": (
        {**GOOD, LISTS: GOOD[LISTS] + "---\nresources: []\n"},
        [(LISTS, 1, "kustomization-invalid")],
    ),
    "kustomization-unknown-field": (
        {**GOOD, LISTS: GOOD[LISTS] + "resource: []\n"},
        [(LISTS, 5, "kustomization-field")],
    ),
    "yaml-invalid": (
        {**GOOD, LISTS: "resources:\n  - backend-secrets.yaml\n  oops\n- [\n"},
        [(LISTS, 4, "yaml-invalid")],
    ),
    "yaml-tab": (
        {**GOOD, LISTS: "resources:\n\t- backend-secrets.yaml\n"},
        [(LISTS, 2, "yaml-invalid")],
    ),
    "yaml-duplicate-key": (
        {APP: listing("a.yaml"), "apps/a.yaml": CONFIG + "  colour: red\n"},
        [("apps/a.yaml", 7, "yaml-duplicate-key")],
    ),
    "not-an-object": (
        {APP: listing("values.yaml"), "apps/values.yaml": "replicas: 2\n"},
        [("apps/values.yaml", 1, "not-an-object")],
    ),
    "object-encrypted": (
        {**GOOD, SECRET: encrypted().replace("kind: Secret", f"kind: {cipher()}")},
        [(SECRET, 1, "object-encrypted")],
    ),
    "duplicate-object": (
        {APP: listing("a.yaml", "b.yaml"), "apps/a.yaml": CONFIG, "apps/b.yaml": CONFIG},
        [("apps/b.yaml", 1, "duplicate-object")],
    ),
    "duplicate-object-through-a-base": (
        {
            APP: listing("a.yaml", "../base"),
            "apps/a.yaml": CONFIG,
            "base/kustomization.yaml": listing("a.yaml"),
            "base/a.yaml": CONFIG,
        },
        [(APP, 1, "duplicate-object")],
    ),
    "circle": (
        {"a/kustomization.yaml": listing("../b"), "b/kustomization.yaml": listing("../a")},
        [("a/kustomization.yaml", 1, "build-failed")],
    ),
    "patch-without-target": (
        {
            APP: listing("a.yaml", more="patches:\n  - path: p.yaml\n"),
            "apps/a.yaml": CONFIG,
            "apps/p.yaml": CONFIG.replace("settings", "another"),
        },
        [(APP, 1, "build-failed")],
    ),
    "schema": (
        {APP: listing("a.yaml"), "apps/a.yaml": CONFIG.replace("blue", "3")},
        [("apps/a.yaml", 6, "schema")],
    ),
    "schema-of-what-cannot-be-built": (
        {APP: listing("a.yaml", "none.yaml"), "apps/a.yaml": CONFIG.replace("\ndata:", "\ndate:")},
        [("apps/a.yaml", 5, "schema"), (APP, 5, "listed-missing")],
    ),
    "unknown-kind": (
        {APP: listing("a.yaml"), "apps/a.yaml": CONFIG.replace("ConfigMap", "ConfigMapp")},
        [("apps/a.yaml", 1, "unknown-kind")],
    ),
    "namespace-missing": (
        {**GOOD, SECRET: encrypted(namespace="")},
        [(SECRET, 3, "namespace-missing")],
    ),
    "namespace-mismatch": (
        {**GOOD, SECRET: encrypted(namespace="production")},
        [(SECRET, 5, "namespace-mismatch")],
    ),
    "namespace-of-another-environment": (
        {
            "flux/secrets/staging/kustomization.yaml": listing("a.yaml"),
            "flux/secrets/staging/a.yaml": encrypted(namespace="develop"),
        },
        [("flux/secrets/staging/a.yaml", 5, "namespace-mismatch")],
    ),
    "namespace-object": (
        {
            **GOOD,
            LISTS: listing("backend-secrets.yaml", "ns.yaml"),
            f"{ENV}/ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: develop\n",
        },
        [(f"{ENV}/ns.yaml", 1, "namespace-object")],
    ),
    "encrypted-moved": (
        {**GOOD, LISTS: GOOD[LISTS] + "namespace: production\n"},
        [(LISTS, 5, "encrypted-transformed")],
    ),
    "encrypted-patched": (
        {
            **GOOD,
            LISTS: GOOD[LISTS]
            + "patches:\n  - target: {kind: Secret}\n    patch: |\n"
            + "      - {op: add, path: /metadata/labels, value: {a: b}}\n",
        },
        [(LISTS, 5, "encrypted-transformed")],
    ),
    "encrypted-number": (
        {**GOOD, SECRET: encrypted(kind="int")},
        [(SECRET, 7, "schema")],
    ),
    "secret-in-plain-text": (
        {**GOOD, SECRET: encrypted().replace(cipher(), "hunter2")},
        [(SECRET, 7, "secret-plaintext")],
    ),
    "secret-in-a-generator": (
        {APP: "secretGenerator:\n  - name: x\n    literals: [PASSWORD=hunter2]\n"},
        [(APP, 3, "generator-literal")],
    ),
    "flux-path-missing": (
        {**GOOD, "flux/clusters/lab/a.yaml": flux("  path: ./flux/secrets/develp\n" + DECRYPTION)},
        [("flux/clusters/lab/a.yaml", 12, "flux-path-missing")],
    ),
    "flux-path-is-a-file": (
        {
            **GOOD,
            "flux/a.yaml": flux(f"  path: ./{SECRET}\n" + DECRYPTION),
        },
        [("flux/a.yaml", 12, "flux-path-missing")],
    ),
    "flux-path-missing-from-another-source": (
        {
            **GOOD,
            "flux/a.yaml": flux("  path: ./flux/secrets/develp\n" + DECRYPTION).replace(
                "name: flux-system", "name: ada"
            ),
        },
        [("flux/a.yaml", 12, "flux-path-missing")],
    ),
    "flux-path-that-begins-here": (
        {
            **GOOD,
            "a.yaml": flux("  path: ./flux/secret/develop\n" + DECRYPTION).replace(
                "name: flux-system", "name: ada"
            ),
        },
        [("a.yaml", 12, "flux-path-missing")],
    ),
    "flux-path-escape": (
        {**GOOD, "flux/a.yaml": flux("  path: ../secrets\n")},
        [("flux/a.yaml", 12, "flux-path-escape")],
    ),
    "decryption-missing": (
        {**GOOD, "flux/a.yaml": flux(SECRETS_PATH)},
        [("flux/a.yaml", 6, "decryption-missing")],
    ),
    "decryption-missing-beyond-the-environments": (
        {
            APP: listing("a.yaml"),
            "apps/a.yaml": encrypted(),
            "flux/a.yaml": flux("  path: ./apps\n"),
        },
        [("flux/a.yaml", 6, "decryption-missing")],
    ),
    "decryption-missing-where-nothing-lists": (
        {"apps/a.yaml": encrypted(), "flux/a.yaml": flux("  path: ./apps\n")},
        [("flux/a.yaml", 6, "decryption-missing")],
    ),
    "decryption-provider": (
        {**GOOD, "flux/a.yaml": flux(SECRETS_PATH + DECRYPTION.replace(": sops\n", ": age\n"))},
        [("flux/a.yaml", 14, "decryption-provider")],
    ),
    "decryption-secret": (
        {**GOOD, "flux/a.yaml": flux(SECRETS_PATH + DECRYPTION.replace("sops-age", "age"))},
        [("flux/a.yaml", 16, "decryption-secret")],
    ),
    "decryption-without-a-key": (
        {**GOOD, "flux/a.yaml": flux(SECRETS_PATH + "  decryption:\n    provider: sops\n")},
        [("flux/a.yaml", 13, "decryption-secret")],
    ),
}


@pytest.mark.parametrize("case", one_of_each_rule(FOUND))
def test_mistake_is_found(case: str, judge: Judge) -> None:
    files, expected = FOUND[case]
    report = judge(files)
    assert report.undecided == []
    assert shown(report.findings) == expected
    assert all(finding.fix for finding in report.findings)
    assert "hunter2" not in f"{report}"


COMPONENT = """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - target: {kind: ConfigMap}
    patch: |
      - {op: add, path: /metadata/labels, value: {a: b}}
"""
DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: cups.example.org
spec:
  group: example.org
  names: {kind: Cup, plural: cups}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: {type: integer}
"""
CUP = "apiVersion: example.org/v1\nkind: Cup\nmetadata:\n  name: a\nspec:\n  size: 3\n"

ACCEPTED: dict[str, dict[str, str]] = {
    "good": GOOD,
    "nothing": {"README.md": "# Nothing to build\n"},
    "commented-out-without-a-file": {LISTS: listing() + "  # - backend-secrets.yaml\n"},
    "empty-kustomization": {LISTS: "# nothing yet\nresources: []\n"},
    "no-kustomization": {SECRET: encrypted()},
    "no-type-meta": {LISTS: "resources:\n  - backend-secrets.yaml\n", SECRET: encrypted()},
    "no-final-newline": {**GOOD, LISTS: GOOD[LISTS].rstrip("\n")},
    "yml": {f"{ENV}/kustomization.yml": GOOD[LISTS], SECRET: encrypted()},
    "sops-config-beside-it": {**GOOD, f"{ENV}/.sops.yaml": "creation_rules: []\n"},
    "same-namespace-again": {**GOOD, LISTS: GOOD[LISTS] + "namespace: develop\n"},
    "base-two-folders-up": {
        "overlays/a/kustomization.yaml": listing("../../base", "../../shared/b.yaml"),
        "base/kustomization.yaml": listing("a.yaml"),
        "base/a.yaml": CONFIG,
        "shared/b.yaml": CONFIG.replace("settings", "others"),
    },
    "component": {
        APP: listing("a.yaml", more="components:\n  - ../parts\n"),
        "apps/a.yaml": CONFIG,
        "parts/kustomization.yaml": COMPONENT,
    },
    "base-used-twice": {
        "both/kustomization.yaml": listing("../one", "../two"),
        "one/kustomization.yaml": listing("../base", more="namePrefix: one-\n"),
        "two/kustomization.yaml": listing("../base", more="namePrefix: two-\n"),
        "base/kustomization.yaml": listing("a.yaml"),
        "base/a.yaml": CONFIG,
    },
    "patch-completes-a-base": {
        APP: listing("a.yaml", more="patches:\n  - path: p.yaml\n"),
        "apps/a.yaml": flux("").replace("  interval: 1m\n", ""),
        "apps/p.yaml": flux("  path: ./apps\n"),
    },
    "other-yaml-beside-it": {
        APP: "configMapGenerator:\n  - name: x\n    files: [values.yaml]\n",
        "apps/values.yaml": "replicas: 2\n",
        "apps/notes.yaml": "just: notes\n",
    },
    "yaml-that-nobody-applies": {**GOOD, "chart/templates/a.yaml": "{{ if x }}\n\t- y\n"},
    "same-definition": {
        APP: listing("crd.yaml", "a.yaml"),
        "apps/crd.yaml": DEFINITION,
        "apps/a.yaml": CUP,
    },
    "list-of-objects": {
        APP: listing("a.yaml"),
        "apps/a.yaml": "apiVersion: v1\nkind: List\nitems:\n"
        "  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n",
    },
    "null-and-time": {
        APP: listing("a.yaml"),
        "apps/a.yaml": CONFIG.replace("settings", "settings\n  creationTimestamp: null")
        + '  day: "2026-01-01"\n',
    },
    "substitution": {
        APP: listing("a.yaml"),
        "apps/a.yaml": "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
        "spec:\n  ports:\n    - port: ${PORT}\n",
    },
    "decryption": {**GOOD, "flux/a.yaml": flux(SECRETS_PATH + DECRYPTION)},
    "decryption-by-a-patch-of-the-parent": {
        **GOOD,
        "flux/a.yaml": flux(SECRETS_PATH),
        "cluster.yaml": flux(
            "  path: ./flux\n  patches:\n    - target: {kind: Kustomization}\n"
            "      patch: |\n        - {op: add, path: /spec/decryption, value: {}}\n",
            name="cluster",
        ).replace("  path: ./flux\n", "  path: ./nowhere/../flux/secrets\n"),
    },
    "decryption-by-kustomize": {
        **GOOD,
        "cluster/kustomization.yaml": listing(
            "a.yaml",
            more="patches:\n  - target: {kind: Kustomization}\n    patch: |\n"
            "      - op: add\n        path: /spec/decryption\n"
            "        value: {provider: sops, secretRef: {name: sops-age}}\n",
        ),
        "cluster/a.yaml": flux(SECRETS_PATH),
    },
    "path-in-another-repository": {
        "flux/a.yaml": flux("  path: ./deploy\n").replace("name: flux-system", "name: podinfo")
        + "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n"
        "  name: podinfo\n  namespace: flux-system\nspec:\n  interval: 1m\n"
        "  url: https://example.org/podinfo\n",
    },
}


# Each case is much like another one.
LONG_TAIL = {
    *("yml", "no-type-meta", "no-final-newline", "same-namespace-again", "base-used-twice"),
    *("null-and-time", "decryption-by-a-patch-of-the-parent"),
}


@pytest.mark.parametrize("case", partly_soak(ACCEPTED, LONG_TAIL))
def test_good_tree_passes(case: str, judge: Judge) -> None:
    report = judge(ACCEPTED[case])
    assert report.undecided == []
    assert report.findings == []


def test_every_rule_has_a_case() -> None:
    cases = (*FOUND.values(), *OF_FLUX.values())
    found = {rule for _, expected in cases for _, _, rule in expected}
    # These rules need a symbolic link or an index.
    assert FIXES.keys() - found == {"symlink", "not-added", "git-filtered", "submodule"}


def test_commented_out_line_is_to_be_uncommented(judge: Judge) -> None:
    (found,) = judge(FOUND["not-listed-but-commented-out"][0]).findings
    assert found.fix == "uncomment `- backend-secrets.yaml`"


def test_version_of_a_known_kind_is_suggested(judge: Judge) -> None:
    deployment = CONFIG.replace("v1", "extensions/v1beta1").replace("ConfigMap", "Deployment")
    (found,) = judge({APP: listing("a.yaml"), "apps/a.yaml": deployment}).findings
    assert (found.rule, found.fix) == ("unknown-kind", "write apiVersion: apps/v1")


def test_definition_in_the_tree_counts(judge: Judge) -> None:
    files = {
        APP: listing("crd.yaml", "a.yaml"),
        "apps/crd.yaml": DEFINITION,
        "apps/a.yaml": CUP.replace("3", "large"),
    }
    assert shown(judge(files).findings) == [("apps/a.yaml", 6, "schema")]


def test_definition_that_is_none_is_told(judge: Judge) -> None:
    files = {APP: listing("crd.yaml"), "apps/crd.yaml": DEFINITION.split("  versions:")[0]}
    report = judge(files)
    assert {(one.path, one.rule) for one in report.findings} == {("apps/crd.yaml", "schema")}
    assert report.undecided == []


@pytest.mark.parametrize("old", ["group: example.org", "kind: Cup"])
def test_definition_writes_no_schema_elsewhere(judge: Judge, tmp_path: Path, old: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    key, _, _ = old.partition(" ")
    crd = DEFINITION.replace(old, f"{key} '{elsewhere}/x'")
    judge({APP: listing("crd.yaml"), "apps/crd.yaml": crd})
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("target", ["backend-secrets.yaml", "/etc/hosts"])
def test_link_never_reaches_the_cluster(target: str, write: Write, schema_dir: Path) -> None:
    root = write({**GOOD, LISTS: listing("backend-secrets.yaml", "link.yaml")})
    (root / ENV / "link.yaml").symlink_to(target)
    report = validate(read_tree(root), lambda: schema_dir)
    assert shown(report.findings) == [(LISTS, 5, "symlink")]


def test_folder_behind_a_link_never_reaches_the_cluster(write: Write, schema_dir: Path) -> None:
    root = write({APP: listing("../link"), "base/kustomization.yaml": listing()})
    (root / "link").symlink_to("base")
    report = validate(read_tree(root), lambda: schema_dir)
    assert shown(report.findings) == [(APP, 4, "symlink")]


def test_file_over_the_bound_is_not_decided(judge: Judge) -> None:
    report = judge({APP: listing("a.yaml"), "apps/a.yaml": "a: " + "x" * 6_000_000})
    assert report.exit_code == 2
    assert report.undecided == ["apps/a.yaml is larger than 5 MiB"]


def test_credential_in_a_url_is_not_shown(judge: Judge) -> None:
    (found,) = judge({APP: listing("https://me:hunter2@example.org/a?token=hunter2")}).findings
    assert found.message == "https://example.org/a is outside of the repository"


def test_deep_nesting_is_not_decided(judge: Judge) -> None:
    deep = CONFIG + "  a: " + "[" * 900 + "]" * 900 + "\n"
    assert judge({APP: listing("a.yaml"), "apps/a.yaml": deep}).exit_code == 2


@pytest.mark.parametrize(
    "text", ["!!int abc", "!!int ''", "!!float abc", "!!bool abc", "0x_", "0b_"]
)
def test_what_is_not_of_its_type_is_text(text: str) -> None:
    (document,) = documents.parse(f"a: {text}\nb: 1\n").documents
    assert plain(document) == {"a": text.split()[-1].strip("'"), "b": 1}


def test_value_in_a_broken_patch_is_not_shown(judge: Judge) -> None:
    patch = "patches:\n  - target: {kind: ConfigMap}\n    patch: 'password: [hunter2'\n"
    report = judge({APP: listing("a.yaml", more=patch), "apps/a.yaml": CONFIG})
    assert [finding.rule for finding in report.findings] == ["build-failed"]
    assert "hunter2" not in f"{report}"
