"""What Flux would make of a tree, by Flux's own builder: one small repository for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.policy.findings import Report
from tests.marks import partly_soak
from tests.unit.validation.validation_material import (
    cipher,
    config,
    encrypted,
    flux,
    listing,
    one_of_each_rule,
    shown,
    wrapped,
)

Judge = Callable[[Mapping[str, str]], Report]

APP, K = "apps/kustomization.yaml", "clusters/app.yaml"
LISTED = {APP: listing("a.yaml")}
SECRET = encrypted("db", "shop")
PLAIN = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n"
SOURCE = """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: flux-system
  namespace: flux-system
spec:
  interval: 1m
  url: https://example.org/a/b
"""
ENV_FILE = (
    f"PASSWORD={cipher()}\nsops_age__list_0__map_recipient=age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82"
    f"hzrye869xeexvn73equnujwj\nsops_age__list_0__map_enc={wrapped()[1:-1]}\n"
    f"sops_mac={cipher(size=128)}\nsops_lastmodified=2026-01-01T00:00:00Z\nsops_version=3.13.3\n"
)
VALUES = f"pin: {cipher()}\n{SECRET[SECRET.index('sops:') :]}"
ITEM = SECRET[: SECRET.index("sops:")].replace("\n", "\n    ").rstrip()
LIST = f"apiVersion: v1\nkind: List\nitems:\n  - {ITEM}\n{SECRET[SECRET.index('sops:') :]}"
DECRYPTED = {K: flux("apps", decryption=True)}
SUBSTITUTE = "  postBuild:\n    substitute:\n      place: lab\n"
FROM = "  postBuild:\n    substituteFrom:\n      - kind: {}\n        name: vars\n"
USES = config(more="  host: ${nfs_host}\n")
VARS = config("vars", "  nfs_host: 10.1.2.3\n", "flux-system")
CONFIG_FROM, SECRET_FROM = FROM.format("ConfigMap"), FROM.format("Secret")
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
COMPONENTS = "  components:\n    - ../parts\n"
PARTS = {
    "parts/kustomization.yaml": f"{COMPONENT}resources:\n  - db.yaml\n",
    "parts/db.yaml": SECRET,
}


def listed(text: str) -> dict[str, str]:
    return {**LISTED, "apps/a.yaml": text}


def replacement(field: str, kind: str = "ConfigMap", path: str = "data.colour") -> str:
    return (
        f"replacements:\n  - source: {{kind: Secret, name: db, fieldPath: {field}}}\n"
        f"    targets:\n      - select: {{kind: {kind}}}\n        fieldPaths: [{path}]\n"
    )


FOUND: dict[str, tuple[dict[str, str], list[tuple[str, int, str]]]] = {
    # Ciphertext that nothing decrypts, and decrypted values in a place that everybody can read.
    "list-of-secrets": ({**DECRYPTED, **listed(LIST)}, [("apps/a.yaml", 7, "ciphertext-applied")]),
    "list-of-secrets-that-nothing-applies": (
        listed(LIST),
        [("apps/a.yaml", 7, "ciphertext-applied")],
    ),
    "ciphertext-in-a-config-map": (
        {**DECRYPTED, **listed(config(more=f"  pin: {cipher()}\n"))},
        [("apps/a.yaml", 4, "ciphertext-applied")],
    ),
    "ciphertext-by-a-replacement": (
        {
            **DECRYPTED,
            APP: listing("a.yaml", "db.yaml", more=replacement("stringData.PASSWORD")),
            "apps/a.yaml": config(),
            "apps/db.yaml": SECRET,
        },
        [("apps/a.yaml", 4, "ciphertext-applied")],
    ),
    "config-map-of-an-encrypted-file": (
        {
            **DECRYPTED,
            APP: "configMapGenerator:\n  - name: x\n    files: [values.yaml]\n",
            "apps/values.yaml": VALUES,
        },
        [(APP, 1, "ciphertext-applied")],
    ),
    "config-map-of-encrypted-variables": (
        {
            **DECRYPTED,
            APP: "configMapGenerator:\n  - name: x\n    envs: [a.env]\n",
            "apps/a.env": ENV_FILE,
        },
        [(APP, 1, "ciphertext-applied")],
    ),
    "decrypted-into-a-config-map": (
        {
            **DECRYPTED,
            APP: "secretGenerator:\n  - name: x\n    files: [values.yaml]\n"
            "configMapGenerator:\n  - name: x\n    files: [values.yaml]\n",
            "apps/values.yaml": VALUES,
        },
        [(APP, 1, "decrypted-exposed")],
    ),
    "decrypted-by-a-patch-of-a-config-map": (
        {
            **DECRYPTED,
            APP: listing("a.yaml", more="patches:\n  - path: p.yaml\n"),
            "apps/a.yaml": config("db", namespace="shop"),
            "apps/p.yaml": SECRET.replace("kind: Secret", "kind: ConfigMap").replace(
                "stringData", "data"
            ),
        },
        [("apps/a.yaml", 4, "decrypted-exposed")],
    ),
    "encrypted-source-without-decryption": (
        {
            K: flux("apps"),
            APP: "secretGenerator:\n  - name: x\n    envs: [a.env]\n",
            "apps/a.env": ENV_FILE,
        },
        [(K, 6, "decryption-missing")],
    ),
    # Documents of one run of sops.
    "last-document-is-empty": (
        {**DECRYPTED, **listed(f"{SECRET}---\n{SECRET[SECRET.index('sops:') :]}")},
        [("apps/a.yaml", 17, "not-an-object")],
    ),
    "second-of-two-documents-changed": (
        {
            **DECRYPTED,
            APP: listing(
                "a.yaml",
                more="patches:\n  - target: {kind: Secret, name: mail}\n"
                "    patch: |\n      - {op: add, path: /metadata/labels, value: {a: b}}\n",
            ),
            "apps/a.yaml": f"{SECRET}---\n{SECRET.replace('name: db', 'name: mail')}",
        },
        [(APP, 5, "encrypted-transformed")],
    ),
    # Variables.
    "variable-not-set": (
        {K: flux("apps", SUBSTITUTE), **listed(USES)},
        [("apps/a.yaml", 7, "substitution")],
    ),
    "variables-not-set": (
        {K: flux("apps", SUBSTITUTE), **listed(f"{USES}  b: ${{other}}\n")},
        [("apps/a.yaml", 7, "substitution"), ("apps/a.yaml", 8, "substitution")],
    ),
    "variable-not-in-the-config-map": (
        {
            K: flux("apps", CONFIG_FROM),
            "clusters/vars.yaml": config("vars", "  host: a\n", "flux-system"),
            **listed(USES),
        },
        [("apps/a.yaml", 7, "substitution")],
    ),
    "variable-not-in-the-encrypted-secret": (
        {
            K: flux("apps", SECRET_FROM, decryption=True),
            "clusters/vars.yaml": encrypted("vars", "flux-system"),
            **listed(USES),
        },
        [("apps/a.yaml", 7, "substitution")],
    ),
    "variable-with-a-hyphen": (
        {
            K: flux("apps", CONFIG_FROM),
            "clusters/vars.yaml": VARS + "  resource-group: a\n",
            **listed(USES),
        },
        [(K, 13, "substitution")],
    ),
    "variable-in-place-with-a-dot": (
        {K: flux("apps", f"{SUBSTITUTE}      a.b: c\n"), **listed(config())},
        [(K, 13, "substitution")],
    ),
    "expression-without-an-end": (
        {K: flux("apps", SUBSTITUTE), **listed(config(more="  a: ${place\n"))},
        [(APP, 1, "substitution")],
    ),
    "substituted-into-a-wrong-type": (
        {
            K: flux("apps", SUBSTITUTE.replace("lab", '"true"')),
            **listed(config(more="  a: ${place}\n")),
        },
        [("apps/a.yaml", 7, "schema")],
    ),
    "variable-of-an-object-named-by-another": (
        {K: flux("apps", SUBSTITUTE), **listed(USES.replace("name: a", "name: ${place}"))},
        [("apps/a.yaml", 7, "substitution")],
    ),
    "path-that-the-parent-completes-wrongly": (
        {
            "root.yaml": flux("clusters", "  postBuild:\n    substitute: {stage: none}\n", "root"),
            K: flux("${stage}"),
            **listed(config()),
        },
        [(K, 9, "flux-path-missing")],
    ),
    "flux-kustomization-that-is-not-listed": (
        {
            "clusters/kustomization.yaml": listing("other.yaml"),
            "clusters/other.yaml": config("other"),
            K: flux("apps", SUBSTITUTE),
            **listed(USES),
        },
        [("clusters/kustomization.yaml", 3, "not-listed")],
    ),
    "variable-that-no-parent-hands-on": (
        {
            "clusters/kustomization.yaml": listing("app.yaml"),
            K: flux("apps", SUBSTITUTE),
            "root.yaml": flux("clusters", "  postBuild:\n    substitute: {nfs_host: a}\n", "root"),
            **listed(USES),
        },
        [("apps/a.yaml", 7, "substitution")],
    ),
    # What is no part of the artifact.
    "source-ignore": (
        {".sourceignore": "/apps/a.yaml\n", K: flux("apps"), **listed(config())},
        [(APP, 4, "not-in-artifact")],
    ),
    "source-ignore-deeper": (
        {"apps/.sourceignore": "a.*\n", K: flux("apps"), **listed(config())},
        [(APP, 4, "not-in-artifact")],
    ),
    "spec-ignore": (
        {
            "clusters/source.yaml": f"{SOURCE}  ignore: |\n    /apps/a.yaml\n",
            K: flux("apps"),
            **listed(config()),
        },
        [(APP, 4, "not-in-artifact")],
    ),
    "path-left-out": (
        {".sourceignore": "/apps/\n", K: flux("apps"), **listed(config())},
        [(K, 9, "flux-path-missing")],
    ),
    "files-of-ci": (
        {APP: listing("../.github/a.yaml"), ".github/a.yaml": config()},
        [(APP, 4, "not-in-artifact")],
    ),
    "image-in-a-config-map": (
        {
            APP: "configMapGenerator:\n  - name: x\n    files: [logo.png]\n",
            "apps/logo.png": "x",
        },
        [(APP, 3, "not-in-artifact")],
    ),
    "archive-in-a-config-map": (
        {APP: "configMapGenerator:\n  - name: x\n    files: [a.zip]\n", "apps/a.zip": "x"},
        [(APP, 3, "not-in-artifact")],
    ),
    # Components of the Flux Kustomization.
    "component-brings-a-secret": (
        {K: flux("apps", COMPONENTS), **listed(config()), **PARTS},
        [(K, 6, "decryption-missing")],
    ),
    "component-is-missing": (
        {K: flux("apps", COMPONENTS), **listed(config())},
        [(K, 14, "flux-component-missing")],
    ),
    "component-without-kustomization": (
        {K: flux("apps", COMPONENTS), **listed(config()), "parts/a.yaml": config("b")},
        [(K, 14, "flux-component-missing")],
    ),
    "component-is-none": (
        {
            K: flux("apps", COMPONENTS),
            **listed(config()),
            "parts/kustomization.yaml": listing("b.yaml"),
            "parts/b.yaml": config("b"),
        },
        [(APP, 1, "build-failed")],
    ),
    "component-brings-the-same-object": (
        {
            K: flux("apps", COMPONENTS),
            **listed(config()),
            "parts/kustomization.yaml": f"{COMPONENT}resources:\n  - b.yaml\n",
            "parts/b.yaml": config(),
        },
        [(APP, 1, "duplicate-object")],
    ),
    "component-uses-a-variable": (
        {
            K: flux("apps", COMPONENTS + SUBSTITUTE),
            **listed(config()),
            "parts/kustomization.yaml": f"{COMPONENT}resources:\n  - b.yaml\n",
            "parts/b.yaml": USES.replace("settings", "more"),
        },
        [("parts/b.yaml", 7, "substitution")],
    ),
    # Base and patch.
    "base-and-patch-encrypted": (
        {
            K: flux("overlay", decryption=True),
            **listed(SECRET),
            "overlay/kustomization.yaml": listing("../apps", more="patches:\n  - path: p.yaml\n"),
            "overlay/p.yaml": encrypted("db", "shop", key="o"),
        },
        [("apps/a.yaml", 4, "encrypted-apart")],
    ),
    "ciphertext-of-another-file-in-place": (
        {
            K: flux("apps", decryption=True),
            APP: listing(
                "a.yaml",
                more="patches:\n  - patch: |\n      apiVersion: v1\n      kind: Secret\n"
                "      metadata: {name: db, namespace: shop}\n"
                f"      stringData: {{PIN: '{cipher(seed='y')}'}}\n",
            ),
            "apps/a.yaml": SECRET,
        },
        [
            ("apps/a.yaml", 4, "encrypted-apart"),
            (APP, 5, "encrypted-transformed"),
            (APP, 10, "sops-no-mac"),
        ],
    ),
    # Keys.
    "tls": (listed(f"{PLAIN}type: kubernetes.io/tls\n"), [("apps/a.yaml", 6, "secret-keys")]),
}

ACCEPTED: dict[str, dict[str, str]] = {
    "emoji": listed(config(more='  "b": "\\U0001F525 hot"\n  c: 🔥\n')),
    "emoji-in-an-annotation": listed(
        config().replace("metadata:\n", "metadata:\n  annotations: {a: 🦆𝒳}\n")
    ),
    "odd-characters": listed(config(more='  b: "\\x85\\u2028\\ufeff\\u00e9"\n')),
    "characters-in-json": {
        APP: listing("a.json"),
        "apps/a.json": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},'
        '"data":{"a":"🔥\\u0085"}}',
    },
    "two-documents-of-one-run": {
        **DECRYPTED,
        **listed(f"{SECRET}---\n{SECRET.replace('name: db', 'name: mail')}"),
    },
    "secret-and-config-map-of-one-run": {
        **DECRYPTED,
        **listed(
            f"{SECRET}---\n{config('a').replace('blue', cipher())}{SECRET[SECRET.index('sops:') :]}"
        ),
    },
    "encrypted-variables": {
        **DECRYPTED,
        APP: "secretGenerator:\n  - name: x\n    envs: [a.env]\n",
        "apps/a.env": ENV_FILE,
    },
    "encrypted-file-in-a-secret": {
        **DECRYPTED,
        APP: "secretGenerator:\n  - name: x\n    files: [values.yaml]\n",
        "apps/values.yaml": VALUES,
    },
    "encrypted-patch-of-a-plain-secret": {
        **DECRYPTED,
        APP: listing("a.yaml", more="patches:\n  - path: p.yaml\n"),
        "apps/a.yaml": PLAIN,
        "apps/p.yaml": SECRET,
    },
    "encrypted-for-another-controller": {
        K: flux("apps"),
        **listed(
            SECRET.replace("v1\nkind: Secret", "isindir.github.com/v1alpha3\nkind: SopsSecret")
        ),
    },
    "default-of-a-variable": {
        K: flux("apps", SUBSTITUTE),
        **listed(config(more="  a: ${nfs_host:=10.1.2.3}\n  b: ${place}\n")),
    },
    "escaped-expression": {
        K: flux("apps", SUBSTITUTE),
        **listed(config(more="  a: $${nfs_host}\n  b: $HOME\n")),
    },
    "substitution-disabled": {
        K: flux("apps", SUBSTITUTE),
        **listed(
            USES.replace(
                "metadata:\n",
                "metadata:\n  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n",
            )
        ),
    },
    "variable-of-a-config-map": {
        K: flux("apps", CONFIG_FROM),
        "clusters/vars.yaml": VARS,
        **listed(USES),
    },
    "variable-of-a-config-map-in-an-overridden-namespace": {
        K: flux("apps", CONFIG_FROM).replace("  namespace: flux-system\n", "", 1),
        "clusters/vars.yaml": VARS,
        "others/vars.yaml": config("vars", "  host: a\n"),
        **listed(USES),
    },
    "variable-of-a-secret": {
        K: flux("apps", SECRET_FROM, decryption=True),
        "clusters/vars.yaml": encrypted("vars", "flux-system"),
        **listed(config(more="  a: ${PASSWORD}\n")),
    },
    "variables-from-elsewhere": {
        K: flux("apps", CONFIG_FROM),
        **listed(USES),
    },
    "variables-from-elsewhere-and-a-number": {
        K: flux("apps", CONFIG_FROM),
        **listed(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
            "spec:\n  ports:\n    - port: ${PORT}\n"
        ),
    },
    "variables-from-elsewhere-and-a-default": {
        K: flux("apps", f"{CONFIG_FROM}    substitute: {{place: '{{b: c}}'}}\n"),
        **listed(config(more='  a: ${q:="}${place}${q:="}\n')),
    },
    "variables-that-may-be-missing": {
        K: flux("apps", f"{CONFIG_FROM}        optional: true\n"),
        **listed(USES),
    },
    "variable-that-a-patch-adds": {
        K: flux("apps", CONFIG_FROM),
        "clusters/kustomization.yaml": listing(
            "app.yaml",
            "vars.yaml",
            more="patches:\n  - target: {kind: ConfigMap}\n"
            "    patch: |\n      - {op: add, path: /data/nfs_host, value: a}\n",
        ),
        "clusters/vars.yaml": config("vars", namespace="flux-system"),
        **listed(USES),
    },
    "path-that-the-parent-completes": {
        "root.yaml": flux("clusters", "  postBuild:\n    substitute: {stage: apps}\n", "root"),
        K: flux("${stage}"),
        **listed(config()),
    },
    "variable-that-the-parent-gives": {
        "root.yaml": flux(
            "clusters",
            "  patches:\n    - target: {kind: Kustomization}\n      patch: |\n"
            "        - {op: add, path: /spec/postBuild, value: {substitute: {nfs_host: a}}}\n",
            "root",
        ),
        K: flux("apps"),
        **listed(USES),
    },
    "decryption-that-the-parent-gives": {
        "root.yaml": flux(
            "clusters",
            "  patches:\n    - target: {kind: Kustomization}\n      patch: |\n"
            "        - op: add\n          path: /spec/decryption\n"
            "          value: {provider: sops, secretRef: {name: sops-age}}\n",
            "root",
        ),
        K: flux("apps", COMPONENTS),
        **listed(config()),
        **PARTS,
    },
    "number-substituted": {
        K: flux("apps", SUBSTITUTE.replace("lab", '"80"')),
        **listed(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n"
            "spec:\n  ports:\n    - port: ${place}\n"
        ),
    },
    "nothing-substituted": {K: flux("apps"), **listed(USES)},
    "left-out-and-not-named": {
        ".sourceignore": "/*\n!/apps\n!/clusters\n",
        K: flux("apps"),
        **listed(config()),
        "drafts/kustomization.yaml": listing("none.yaml"),
    },
    "image-that-source-ignore-brings-back": {
        ".sourceignore": "/drafts\n",
        APP: "configMapGenerator:\n  - name: x\n    files: [logo.png]\n",
        "apps/logo.png": "x",
    },
    "files-of-ci-that-nothing-names": {
        K: flux("."),
        "apps/a.yaml": config(),
        ".github/workflows/ci.yaml": "on: push\n",
        ".sops.yaml": "creation_rules: []\n",
    },
    "component": {
        K: flux("apps", COMPONENTS, decryption=True),
        **listed(config()),
        **PARTS,
    },
    "component-that-may-be-missing": {
        K: flux("apps", f"{COMPONENTS}  ignoreMissingComponents: true\n"),
        **listed(config()),
    },
    "two-clusters-with-one-path": {
        K: flux("apps", SUBSTITUTE),
        "clusters/other.yaml": flux("apps", SUBSTITUTE.replace("lab", "b"), "other"),
        **listed(config(more="  a: ${place}\n")),
    },
    "target-namespace": {
        K: flux("apps", "  targetNamespace: shop\n"),
        **listed(config()),
    },
}


@pytest.mark.parametrize("case", one_of_each_rule(FOUND))
def test_mistake_is_found(case: str, judge: Judge) -> None:
    files, expected = FOUND[case]
    report = judge(files)
    assert report.undecided == []
    assert shown(report.findings) == expected


# Each case is much like another one.
LONG_TAIL = {
    *("emoji-in-an-annotation", "odd-characters", "characters-in-json"),
    *("secret-and-config-map-of-one-run", "variable-of-a-config-map-in-an-overridden-namespace"),
    *("variables-from-elsewhere-and-a-number", "variables-from-elsewhere-and-a-default"),
    *("variable-that-the-parent-gives", "nothing-substituted", "files-of-ci-that-nothing-names"),
}


@pytest.mark.parametrize("case", partly_soak(ACCEPTED, LONG_TAIL))
def test_good_tree_passes(case: str, judge: Judge) -> None:
    report = judge(ACCEPTED[case])
    assert report.undecided == []
    assert report.findings == []


def test_kinds_without_a_schema_are_a_note(judge: Judge) -> None:
    foreign = "apiVersion: example.org/v1\nkind: Cup\nmetadata:\n  name: {}\n"
    report = judge(listed(f"{foreign.format('a')}---\n{foreign.format('b')}"))
    assert (report.findings, report.exit_code) == ([], 0)
    (note,) = report.notes  # type: ignore[attr-defined]
    assert note.endswith("not checked against one: 2 Cup (example.org)")


def test_number_in_quotes_stays_a_text(judge: Judge) -> None:
    report = judge(listed(f'{PLAIN}stringData:\n  port: "5432"\n'))
    assert {one.rule for one in report.findings} == {"secret-plaintext"}


def test_value_of_a_variable_is_not_shown(judge: Judge) -> None:
    post = "  postBuild:\n    substitute:\n      place: 'hunter2: [a'\n"
    report = judge({K: flux("apps", post), **listed(config(more="  a: ${place}\n"))})
    assert [one.rule for one in report.findings] == ["substitution"]
    assert "hunter2" not in f"{report}"


def test_nothing_is_written_where_the_tree_lies(
    judge: Judge, write: Callable[[Mapping[str, str]], Path]
) -> None:
    files = {K: flux("apps", COMPONENTS, decryption=True), "apps/a.yaml": config(), **PARTS}
    root = write(files)
    judge(files)
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == files.keys()
