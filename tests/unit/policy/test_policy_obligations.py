"""A file has to be encrypted if its name says so, or if a creation rule means it."""

from __future__ import annotations

import pytest

from sopslab.policy import documents, obligations
from tests.unit.policy.policy_material import encrypted_value


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *[(f"a/db.sops.{end}", True) for end in ("yaml", "yml", "json", "env", "ini", "toml")],
        *[(f"db.enc.{end}", True) for end in ("txt", "conf", "cfg", "properties", "tfvars")],
        *[(f"db.encrypted.{end}", True) for end in ("csv", "xml", "pem", "key")],
        ("a/b/db.sops", True),
        ("db.sops.md", False),
        ("db.sops.yaml.md", False),
        ("dbsops.yaml", False),
        ("a.sops.yaml/db.yaml", False),
        (".sops.yaml", False),
        ("a/.sops.yaml", False),
        ("a/.sops.x.sops.yaml", False),
        ("a/x.sops.yaml", True),
        (".sops.d/db.sops.yaml", True),
        ("x.sops.sops.yaml", True),
    ],
)
def test_a_name_promises_ciphertext(path: str, expected: bool) -> None:
    assert obligations.by_name(path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/db.yaml", True),
        ("a/DB.YAML", True),
        ("prod.tfvars", True),
        ("tls.key", True),
        ("a/notes.md", False),
        ("db.yaml.txt.gz", False),
        ("a/kustomization.yaml", False),
        ("a/Kustomization.yml", False),
        ("Chart.yaml", False),
        ("package.json", False),
        ("renovate.json5", False),
        ("a/values.schema.json", False),
        ("a/.pre-commit-config.yaml", False),
        ("a/my-kustomization.yaml", True),
        (".github/db.yaml", True),
    ],
)
def test_a_rule_speaks_of_data_and_of_no_tools_own_file(path: str, expected: bool) -> None:
    assert obligations.may_be_ruled(path) is expected
    assert obligations.by_rule(path, "secret") is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r".*\.yaml", False),
        ("", False),
        ("^flux/secrets/", True),
        ("SOPS", True),
        (r"\.enc\.", True),
        ("encoded", False),
        ("private", True),
        ("credential", True),
        (r"flux/db\.yaml$", True),
        (r"flux/other\.yaml$", False),
        # The pattern fits the folder, and does not name the file.
        ("^flux/", False),
    ],
)
def test_a_rule_means_what_it_names_or_speaks_of(pattern: str, expected: bool) -> None:
    assert obligations.by_rule("flux/db.yaml", pattern) is expected


OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ntype: Opaque\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\n", 1),
        ("a:\nb: ''\nc:\n  d:\n  - x\n", 5),
        ("a: ${B}\nb: '{{ c }}'\n", 0),
        ("a: ${B}\nb: x ${C}\n", 2),
        (f"a: x\nb: {encrypted_value()}\n", 0),
        (f"a:\n  b: x\n  c: {encrypted_value()}\n", 0),
        (OBJECT, 0),
        (f"{OBJECT}data:\n  a: x\n", 7),
        # In what is no complete object, these are fields like any other.
        ("kind: a\n", 1),
        ("apiVersion: a\nkind:\n", 1),
        ("metadata: a\n", 1),
        ("a: x\ncreation_rules: []\n", 0),
        ("a: x\ncreation_rules:\n", 0),
        ("[a, b]\n", 0),
    ],
)
def test_the_first_value_in_plain_text_is_named(text: str, expected: int) -> None:
    (document,) = documents.parse(text).documents
    assert obligations.plain_line(document, None) == expected


def test_what_a_rule_leaves_plain_is_no_duty() -> None:
    (document,) = documents.parse("a: x\nb:\n  c: y\n  d: z\n").documents
    asked = []

    def selects(path: tuple[str, ...]) -> bool:
        asked.append(path)
        return path == ("b", "d")

    assert obligations.plain_line(document, selects) == 4
    assert asked == [("a",), ("b", "c"), ("b", "d")]
    assert obligations.plain_line(document, lambda _: False) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OBJECT, True),
        ("kind: a\n", False),
        ("apiVersion: a\n", False),
        ("kind:\napiVersion: v1\n", False),
        ("a\n", False),
    ],
)
def test_an_object_has_a_kind_and_a_version(text: str, expected: bool) -> None:
    assert obligations.is_named(documents.parse(text).documents[0]) is expected
