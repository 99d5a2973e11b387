"""Each value of a Secret must be one that sops wrote, and its metadata must be complete."""

from __future__ import annotations

import json

import pytest

from sopslab.policy import documents, secrets, sops
from sopslab.policy.recipients import Expected
from sopslab.policy.secrets import Place
from tests.unit.policy.policy_material import (
    RECIPIENT,
    RECIPIENT_PQ,
    b64,
    encrypted_value,
    noise,
    render,
    sops_block,
)
from tests.unit.policy.policy_places import Told, document, place, told

HEAD = "apiVersion: v1\nkind: Secret\n"
ENCRYPTED = encrypted_value()
BROKEN = sops_block(RECIPIENT, with_mac=False)
"""Wherever the policy looks at metadata, it reports this block."""
FILE = render("{{ sops_binary }}")


def found(text: str, where: Place | None = None, *inner: str) -> Told:
    whole = document(text)
    secret = documents.get(whole, *inner)
    assert secret is not None
    return told(secrets.check(secret, sops.metadata(whole), where or place()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{apiVersion: v1, kind: Secret}", True),
        ("{apiVersion: v1, kind: SECRET}", True),
        ("{apiVersion: ' v1 ', kind: ' Secret '}", True),
        ("{kind: Secret}", True),
        ("{apiVersion: external-secrets.io/v1, kind: Secret}", False),
        ("{apiVersion: v1, kind: ConfigMap}", False),
        ("{apiVersion: v1}", False),
        ("{}", False),
    ],
)
def test_a_secret_is_told_by_kind_and_version(text: str, expected: bool) -> None:
    assert secrets.is_secret(documents.fields(document(text))) is expected


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("", ""),
        ("hunter2", "secret-plaintext"),
        (ENCRYPTED, ""),
        (f"{ENCRYPTED} ", "secret-lookalike"),
        (" enc [hunter2]", "secret-lookalike"),
        ("**SOPS**", "secret-mask"),
        (f" {b64('**SOPS**')}\n", "secret-mask"),
        (FILE, ""),
        (b64(FILE), ""),
        (b64("hunter2"), "secret-plaintext"),
        (b64(b"\xff\xfe\xfd"), "secret-plaintext"),
        ("{{ .Values.note }}", ""),
        ("op://vault/item/field", ""),
        ('{"note": "{{ note }}"}', ""),
        ("https://{{ host }}/path", ""),
    ],
)
def test_a_value_is_judged_by_what_it_is(value: str, rule: str) -> None:
    scalar = document("\n\n" + json.dumps(value))
    expected = [(3, rule, "data.note")] if rule else []
    assert told(secrets.leaf(("data", "note"), scalar, place())) == expected


@pytest.mark.parametrize("where", [place(in_tree=True), place(for_flux=True)])
@pytest.mark.parametrize(
    "value", ["{{ .Values.note }}", "op://vault/item/field", "https://{{ host }}/path"]
)
def test_nothing_is_filled_in_where_flux_reads(value: str, where: Place) -> None:
    hits = told(secrets.leaf(("data", "note"), document(json.dumps(value)), where))
    assert hits == [(1, "secret-plaintext", "data.note")]


def test_an_address_is_no_password() -> None:
    address = document("https://{{ host }}/path")
    assert told(secrets.leaf(("data", "url"), address, place())) == []
    assert told(secrets.leaf(("data", "password"), address, place())) == [
        (1, "secret-plaintext", "data.password")
    ]


@pytest.mark.parametrize("value", [FILE, f" {FILE}\n", b64(FILE)])
def test_an_encrypted_file_as_a_value_is_remembered(value: str) -> None:
    where = place()
    assert told(secrets.leaf(("data", "a"), document(json.dumps(value)), where)) == []
    assert where.sealed == {value.strip()}


def test_every_leaf_of_both_sections_is_looked_at() -> None:
    text = (
        f"{HEAD}data:\n  a: {ENCRYPTED}\n  b: hunter2\n  c:\n    d: hunter2\n"
        "StringData:\n  e: hunter2\nother:\n  f: hunter2\n"
    )
    assert found(text) == [
        (5, "secret-plaintext", "data.b"),
        (7, "secret-plaintext", "data.c.d"),
        (9, "secret-plaintext", "StringData.e"),
        (4, "sops-no-mac", "values"),
    ]


@pytest.mark.parametrize(
    ("sections", "filled"),
    [
        ("data: {}", False),
        ("data: ''", False),
        ("data: {a: ''}", False),
        ("data: {a: null}", False),
        (f"data: {{a: '{ENCRYPTED}'}}", True),
        (f"data: {{a: '{ENCRYPTED}', b: ''}}", True),
        (f"data: {{a: '{ENCRYPTED}'}}\nstringData: ''", True),
        (f"other: {{a: '{ENCRYPTED}'}}", False),
        ("", False),
    ],
)
def test_the_metadata_counts_where_there_is_a_value(sections: str, filled: bool) -> None:
    problem = [(4 if sections.count("\n") == 0 else 5, "sops-no-mac", "the")]
    assert found(f"{HEAD}{sections}\n{BROKEN}") == (problem if filled else [])


def test_a_section_that_is_text_is_a_value() -> None:
    assert found(f"{HEAD}data: hunter2\n{BROKEN}") == [
        (3, "secret-plaintext", "data"),
        (4, "sops-no-mac", "the"),
    ]


def test_a_key_that_holds_its_value_is_text() -> None:
    assert found(f"{HEAD}data:\n  {{password:hunter2}}\n{BROKEN}") == [
        (4, "secret-plaintext", "data.…"),
        (5, "sops-no-mac", "the"),
    ]
    assert found(f"{HEAD}data:\n  tls.crt: ''\n  a_B-9: ''\n") == []


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ("unencrypted_suffix: _plain", ["a_plain"]),
        ("unencrypted_suffix: _plain", ["a", "b_plain"]),
        ("unencrypted_suffix: _plain", ["a_plain", "b"]),
        ("encrypted_regex: ^(data|stringData)$", ["a_unencrypted"]),
        ("", ["a_unencrypted"]),
    ],
)
def test_a_suffix_keeps_a_value_plain(options: str, keys: list[str]) -> None:
    block = sops_block(RECIPIENT, options=options) if options else ""
    line = 3 + len(keys)
    value = "".join("\n" + "  " * depth + f"{key}:" for depth, key in enumerate(keys, 1))
    assert (line, "secret-unencrypted-suffix", f"data.{keys[0]}") in found(
        f"{HEAD}data:{value} hunter2\n{block}"
    )
    assert found(f"{HEAD}data:{value} {ENCRYPTED}\n{block or sops_block(RECIPIENT)}") == []


def test_another_suffix_replaces_the_usual_one() -> None:
    block = sops_block(RECIPIENT, options="unencrypted_suffix: _plain")
    assert found(f"{HEAD}data:\n  a_unencrypted: hunter2\n{block}") == [
        (4, "secret-plaintext", "data.a_unencrypted")
    ]


def test_each_secret_of_a_list_may_have_its_own_metadata() -> None:
    item = f"kind: Secret\n  data: {{a: '{ENCRYPTED}'}}\n"
    own = sops_block(RECIPIENT).replace("\n", "\n  ")
    assert found(f"item:\n  {item}  {own}\n{BROKEN}", None, "item") == []
    assert found(f"item:\n  {item}{BROKEN}", None, "item") == [(4, "sops-no-mac", "the")]
    assert found(f"item:\n  {item}", None, "item") == [(3, "sops-no-mac", "values")]


def test_ciphertext_without_metadata_is_told_of_once() -> None:
    text = (
        f"{HEAD}other: {{a: '{ENCRYPTED}'}}\nDATA:\n  b: ''\n  c: {ENCRYPTED}\n  d: {ENCRYPTED}\n"
    )
    assert found(text) == [(6, "sops-no-mac", "values")]


def test_the_recipients_have_to_be_those_expected() -> None:
    text = f"{HEAD}data:\n  a: {ENCRYPTED}\n{sops_block(RECIPIENT)}"
    other = Expected(frozenset(), frozenset({RECIPIENT_PQ}))
    assert found(text, place(expected=other)) == [(5, "sops-wrong-recipient", "encrypted")]
    assert found(text, place(expected=Expected(frozenset(), frozenset({RECIPIENT})))) == []


@pytest.mark.parametrize(
    ("regex", "in_tree", "elsewhere"),
    [
        ("encrypted_regex: ^(data|stringData)$", True, True),
        ("encrypted_regex: ^(stringData|data)$", False, True),
        ("encrypted_regex: ^data$", False, False),
        ("encrypted_regex: ^stringData$", False, False),
        ("unencrypted_suffix: _unencrypted", False, True),
    ],
)
def test_the_secrets_have_one_regex_and_others_one_for_both_sections(
    regex: str, in_tree: bool, elsewhere: bool
) -> None:
    text = f"{HEAD}data: {{a: '{ENCRYPTED}'}}\n{sops_block(RECIPIENT, options=regex)}"
    for where, passes in ((place(in_tree=True), in_tree), (place(), elsewhere)):
        problem = [(4, "sops-wrong-regex", text) for _, _, text in found(text, where)]
        assert found(text, where) == ([] if passes else problem[:1])
        assert passes or problem


def test_what_flux_must_read_is_not_encrypted() -> None:
    text = (
        f"{HEAD}metadata:\n  name: a\n  labels:\n    b: {ENCRYPTED}\ntype: {ENCRYPTED}\n"
        f"data:\n  c: {ENCRYPTED}\n{sops_block(RECIPIENT)}"
    )
    assert found(text, place(in_tree=True)) == [
        (6, "secret-field-encrypted", "metadata.labels.b"),
        (7, "secret-field-encrypted", "type"),
    ]
    assert found(text) == []


RULE = "kind: Secret\nname: a\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (f"{RULE}data: {{kind: Secret, type: b, data: {{c: hunter2}}}}", ["data.c"]),
        (f"{RULE}data: {{metadata: {{x: y}}, stringdata: {{c: hunter2}}}}", ["stringdata.c"]),
        (f"{RULE}data: {{data: {{c: hunter2}}, stringData: d}}", ["data.c", "stringData"]),
        (f"{RULE}data: {{kind: b, data: hunter2}}", ["data.kind", "data.data"]),
        (f"{RULE}data: {{kind: b, note: c}}", ["data.kind", "data.note"]),
        (f"{RULE}data: {{note: c, data: {{d: hunter2}}}}", ["data.note", "data.data.d"]),
        (f"{RULE}metadata: {{}}\ndata: {{data: {{d: hunter2}}}}", ["data.data.d"]),
        ("kind: Secret\ndata: {kind: b, data: {d: hunter2}}", ["data.kind", "data.data.d"]),
    ],
)
def test_the_data_of_a_rule_of_kyverno_is_an_object(text: str, names: list[str]) -> None:
    assert [name for _, _, name in found(text)] == names


def test_noise_is_no_encrypted_file() -> None:
    assert told(secrets.leaf(("data", "a"), document(b64(noise(30))), place())) == [
        (1, "secret-plaintext", "data.a")
    ]
