"""Single parts of the policy, where a table of files says too little."""

from __future__ import annotations

import base64
import time

import pytest

from sopslab.policy import (
    credentials,
    documents,
    engine,
    keys,
    passwords,
    placeholders,
    sops,
    templates,
)
from sopslab.policy.documents import Mapping
from sopslab.policy.recipients import Rules, Trusted
from tests.unit.policy import policy_material

TOKEN = "Zx81Qm2L" + "p0Vb7Nc4"
A, B, C = (policy_material.recipient() for _ in range(3))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_is_decoded_and_keys_are_found_in_it(encoding: str) -> None:
    text = f"key: {policy_material.age_identity()}\n"
    data = text.encode(encoding)
    assert engine.decode(data) == text
    assert [hit.rule for hit in keys.scan(data)] == ["key-age"]


def test_binary_is_no_text() -> None:
    assert engine.decode(b"\x7fELF\0\0\1\2\3" * 20) == ""


def test_key_in_binary_is_found() -> None:
    data = b"\x7fELF\0\0\1" + policy_material.age_identity().encode() + b"\0\1\2\xff"
    assert [hit.rule for hit in keys.scan(data)] == ["key-age"]


@pytest.mark.parametrize("prefix", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("times", [1, 2])
def test_encoded_keys_are_found_at_any_offset(prefix: str, times: int) -> None:
    data = (prefix + policy_material.age_identity()).encode()
    for _ in range(times):
        data = base64.b64encode(data)
    assert [hit.rule for hit in keys.scan(b"x: " + data)] == ["key-age"]


def test_hex_and_url_safe_base64_are_decoded() -> None:
    identity = policy_material.age_identity().encode()
    assert keys.scan(identity.hex().encode())
    assert keys.scan(base64.urlsafe_b64encode(b"\xff\xfe\xfd>>>???" + identity))


@pytest.mark.parametrize(
    ("head", "rule"),
    [
        (b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7", "key-private"),
        (b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00", "key-private"),
        (b"\x30\x77\x02\x01\x01\x04\x20", "key-private"),
        (b"\x30\x82\x09\x51\x02\x01\x03\x30\x82", "key-store"),
        (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "key-store"),
    ],
)
def test_binary_keys_are_found_by_their_head(head: bytes, rule: str) -> None:
    assert [hit.rule for hit in keys.scan(head + b"\xa7" * 40)] == [rule]


@pytest.mark.parametrize(
    "text",
    [
        f"{policy_material.DASHES}BEGIN PRIVATE KEY{policy_material.DASHES}",
        f"{policy_material.DASHES}BEGIN PRIVATE KEY{policy_material.DASHES}\n...\n",
        f"{policy_material.DASHES}BEGIN RSA PRIVATE KEY{policy_material.DASHES}\n<your key>\n",
        policy_material.AGE + "1" + "X" * 58,
        policy_material.AGE + "1...",
        "the AGE-PLUGIN-YUBIKEY-1 prefix",
        "age-secret-key-handling-in-tests",
    ],
)
def test_fillers_are_no_keys(text: str) -> None:
    assert keys.scan(text.encode()) == []


def test_each_of_several_keys_has_its_line() -> None:
    text = f"a\n{policy_material.pem()}\nb\n{policy_material.pem('EC ')}\n"
    assert [hit.line for hit in keys.scan(text.encode())] == [2, 12]


@pytest.mark.parametrize(
    "value",
    [
        "{{ .Values.a }}",
        "${A}",
        "<your-token>",
        "REDACTED",
        "changeme",
        "xxxxxx",
        "$(TOKEN)",
        "***",
    ],
)
def test_placeholders(value: str) -> None:
    assert placeholders.is_placeholder(value)


@pytest.mark.parametrize("value", ["hunter2hunter2", "S3cr3t!pass", "correcthorse", "aGVsbG8x"])
def test_values_are_no_placeholders(value: str) -> None:
    assert not placeholders.is_placeholder(value)


@pytest.mark.parametrize("value", ["{{ a }} b", "x${A}", "plain", "", "{{}"])
def test_only_pure_templates_are_templates(value: str) -> None:
    assert not placeholders.is_template(value)


@pytest.mark.parametrize(
    ("key", "value", "real"),
    [
        ("password", "hunter2", True),
        ("dbPassword", "S3cr3t!", True),
        ("DB_PASSWORD", "supersecretpw", True),
        ("apiKey", TOKEN, True),
        ("password", "Passwort", False),
        ("password", "/run/secrets/db", False),
        ("password", "db-credentials", False),
        ("password", "correct-horse-battery", True),
        ("passwordKey", TOKEN, False),
        ("tokenTTL", TOKEN, False),
        ("token", "short1", False),
        ("password", "two words 1", False),
        ("password", "string", False),
    ],
)
def test_passwords_in_configuration(key: str, value: str, real: bool) -> None:
    assert passwords.is_real(key, value) is real


def test_encrypted_values_are_exactly_what_sops_writes() -> None:
    value = policy_material.encrypted_value()
    assert sops.is_encrypted(value)
    wrong = [
        value + " ",
        value.lower(),
        value.replace("AES256_GCM", "AES128_GCM"),
        value.replace("type:str", "type:text"),
        value.replace(",iv:", ",iv:AA"),
        value.replace("data:", "data:!"),
        value.replace("tag:", "tag:AAAA"),
        "ENC[AES256_GCM,data:,iv:,tag:,type:str]",
    ]
    assert not any(sops.is_encrypted(text) for text in wrong)


def test_merge_keys_and_duplicates() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 1, x: 2}\n"
    (root,) = documents.parse(text).documents
    merged = documents.get(root, "b")
    assert [(key, value.value) for key, _, value in documents.entries(merged)] == [
        ("x", "3"),
        ("y", "2"),
    ]
    assert list(documents.duplicate_keys(root)) == [("x", 3)]


def test_json_that_is_no_yaml_keeps_its_lines() -> None:
    parsed = documents.parse(
        '{\n\t"a": "\\/",\n\t"b": [\n\t\t{"c": "\\ud83d\\ude00"}\n\t]\n}\n{"d": 1}'
    )
    assert parsed.error_line == 0
    assert len(parsed.documents) == 2
    first = parsed.documents[0]
    assert isinstance(first, Mapping)
    assert [documents.line_of(key) for key, _ in first.value] == [2, 3]
    assert [documents.line_of(one) for one in parsed.documents] == [1, 7]


def test_documents_before_an_error_are_kept() -> None:
    parsed = documents.parse("a: b\n---\nc: [\n---\n")
    assert (len(parsed.documents), parsed.error_line > 0) == (1, True)


def test_secrets_in_templates_are_read_by_indentation() -> None:
    text = (
        "{{ if x }}\nkind: Secret\ndata:\n  a: {{ b }}\n  c: plain # d\n  e: |\n    {{ f }}\n"
        "  g: |\n    plain\n  h: ''\ntype: Opaque\n---\nkind: ConfigMap\ndata:\n  i: plain\n"
    )
    assert [(hit.line, hit.message.split(" ")[0]) for hit in templates.plaintext_secrets(text)] == [
        (5, "data.c"),
        (9, "data.g"),
    ]


def rules(files: dict[str, str], trusted: Trusted | None = None, top: str = "") -> Rules:
    return Rules(
        lambda path: files[path].encode() if path in files else None,
        lambda folder: folder == top,
        trusted or Trusted(),
    )


def test_first_matching_rule_of_the_nearest_config_counts() -> None:
    files = {
        ".sops.yaml": f"creation_rules: [{{age: {C}}}]",
        "flux/.sops.yaml": (
            f"creation_rules:\n- path_regex: ^secrets/prod/\n  age: {A}\n"
            f"- path_regex: secrets/\n  key_groups: [{{age: [{A}]}}, {{age: [{B}]}}]\n"
        ),
    }
    found = rules(files)
    assert found.expected("flux/secrets/prod/a.yaml", True).allowed == frozenset({A})
    assert found.expected("flux/secrets/develop/a.yaml", True).required == {A, B}
    assert found.expected("flux/x.yaml", True).no_rule
    assert found.expected("a.yaml", False).allowed == frozenset({C})
    assert found.expected("flux/secrets/a.yaml", False).allowed is None


def test_trusted_recipients_beat_the_config() -> None:
    files = {".sops.yaml": f"creation_rules: [{{age: '{A},{B}'}}]"}
    expected = rules(files, Trusted(frozenset({A}), frozenset({A, C}))).expected("a.yaml", False)
    assert (expected.required, expected.allowed) == (frozenset({A}), frozenset({A, C}))


def test_trusted_recipients_come_from_the_environment() -> None:
    environment = {"SOPSLAB_REQUIRED_RECIPIENTS": f"{A}, {B},", "SOPSLAB_ALLOWED_RECIPIENTS": ""}
    assert Trusted.from_environment(environment) == Trusted(frozenset({A, B}), frozenset())


def test_only_what_is_quoted_is_read_as_go_reads_it() -> None:
    """A quotation mark in a comment must not shift what counts as a quoted text."""
    text = "# \"\na: \\'\nkind: Secret\nz: x'\nname: &a \"it\\'s\"\nother: &a y\n"
    parsed = documents.parse(text)
    assert parsed.error_line == 0
    fields = documents.fields(parsed.documents[0])
    assert documents.text_of(fields["kind"]) == "Secret"
    assert documents.text_of(fields["name"]) == "it's"


@pytest.mark.parametrize(
    ("path", "part"),
    [
        (".git-credentials", "://a:"),
        ("chap-secrets", "a"),
        ("configuration.php", "$a["),
        ("settings.py", "\n"),
        ("wpa_supplicant.conf", "\n"),
    ],
)
def test_a_file_of_credentials_takes_no_quadratic_time(path: str, part: str) -> None:
    start = time.process_time()
    assert list(credentials.scan(path, part * (100_000 // len(part)), is_example=False)) == []
    assert time.process_time() - start < 1


def test_blocks_of_text_without_an_end_take_no_quadratic_time() -> None:
    start = time.process_time()
    list(passwords.in_expressions("<<a\n" * 25_000))
    assert time.process_time() - start < 1
