"""What the policy looks for in each kind of file, and how it answers for all files together."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import pytest
from typing_extensions import override

from sopslab.policy import documents, engine, regex
from sopslab.policy.engine import File
from sopslab.policy.findings import Report, Undecidable
from sopslab.policy.gitleaks import LEAKS, Begun
from sopslab.policy.recipients import Rules, Trusted
from sopslab.policy.sources import MAX_BLOB, SUBMODULE, SYMLINK, TEXT, Blob, SourceError
from tests.unit.policy.policy_material import (
    RECIPIENT,
    RECIPIENT_PQ,
    age_identity,
    encrypted_value,
    noise,
    pem,
    render,
    sops_block,
)
from tests.unit.policy.policy_places import Told, told
from tests.unit.policy.policy_process import Process, finding

FILE = "100644"
ENCRYPTED = encrypted_value()
PASSWORD = "Quince77" + "lantern"
IDENTITY = age_identity()
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {note: hunter2}\n"
VALUE = (4, "secret-plaintext", "stringData.note")
FLUX, TREE = "flux/apps", "flux/secrets/develop"
PLAIN = (1, "not-encrypted", "a")


class Files:
    """A source of files, all at the top of one repository."""

    def __init__(
        self, *blobs: Blob, beside: Mapping[str, str] | None = None, apart: bool = False
    ) -> None:
        self._blobs, self._beside, self._apart = blobs, beside or {}, apart

    def blobs(self) -> Iterator[Blob]:
        yield from self._blobs

    def read(self, commit: str, path: str) -> bytes | None:
        found = self._beside.get(f"{commit}:{path}", self._beside.get(path))
        return found.encode() if found is not None else None

    def is_top(self, folder: str) -> bool:
        return folder == ""

    def share(self, commit: str) -> str:
        return commit if self._apart else ""


def blob(path: str, content: str | bytes, mode: str = FILE, commit: str = "") -> Blob:
    return Blob(path, mode, content.encode() if isinstance(content, str) else content, commit)


def file(one: Blob, beside: Mapping[str, str] | None = None) -> File:
    source = Files(one, beside=beside)
    rules = Rules(lambda path: source.read(one.commit, path), source.is_top, Trusted())
    return File(one, rules, source)


def hits(
    path: str, content: str | bytes, mode: str = FILE, beside: Mapping[str, str] | None = None
) -> Told:
    return told(file(blob(path, content, mode), beside).hits())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("aé".encode(), "aé"),
        ("aé".encode("utf-8-sig"), "aé"),
        ("aé".encode("utf-16"), "aé"),
        (b"\xfe\xff\0a", "a"),
        ("aé".encode("utf-32"), "aé"),
        (b"\0\0\xfe\xff\0\0\0a", "a"),
        (b"\xff\xfea", "\ufffd"),
        ("abc".encode("utf-16-le"), "abc"),
        ("abc".encode("utf-16-be"), "abc"),
        ("abc".encode("utf-16-le") + b"d", "abc\ufffd"),
        ("abé".encode("utf-16-le"), "abé"),
        ("a\u4e2d\u4e2d".encode("utf-16-le"), ""),
        (b"a\0b\0c\0\0d", ""),
        (b"abc\0", ""),
        (b"a" * 4095 + b"\0", ""),
        (b"a" * 4096 + b"\0", "a" * 4096 + "\0"),
        (b"\xffa", "\ufffda"),
        (b"", ""),
    ],
)
def test_text_is_decoded_and_what_is_binary_has_none(data: bytes, text: str) -> None:
    assert engine.decode(data) == text


@pytest.mark.parametrize(
    ("data", "is_text"),
    [
        (b"", True),
        (b"a: b\t\r\n\x0c\x1b", True),
        ("aé".encode("utf-16"), True),
        ("abc".encode("utf-16-le"), True),
        (b"\xff\xfea", False),
        (b"\xff\xfe", False),
        (b"a\xff", False),
        (b"a\x01", False),
        (b"a\x1f", False),
        (b"a\0b\0c\0\0d", False),
        (b"a" * 4096 + b"\0", False),
    ],
)
def test_where_flux_reads_there_is_text(data: bytes, is_text: bool) -> None:
    assert hits(f"{FLUX}/a.md", data) == ([] if is_text else [(1, "not-looked-into", "not")])
    assert hits("a.md", data) == []


@pytest.mark.parametrize("mode", [SYMLINK, SUBMODULE])
def test_a_link_is_none_for_flux(mode: str) -> None:
    assert hits("flux/a", "b", mode) == [(1, "not-a-regular-file", "a")]
    assert hits("flux", "b", mode) == [(1, "not-a-regular-file", "a")]
    assert hits("x/flux/a", "b", mode) == []
    assert hits("a.yaml", SECRET, mode) == []
    assert hits("a", f"\n{IDENTITY}", mode) == [(2, "key-age", "an")]


def test_of_what_is_said_nothing_but_keys_count() -> None:
    assert hits("message", SECRET, TEXT) == []
    assert hits("flux", f"\n{IDENTITY}", TEXT) == [(2, "key-age", "an")]


def test_no_file_is_larger_than_what_can_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_BLOB == 64 << 20
    monkeypatch.setattr(engine, "MAX_BLOB", 5)
    assert hits("a.md", "abcde") == []
    with pytest.raises(Undecidable, match=r"^is larger than 64 MiB$"):
        hits("a.md", "abcdef")


def test_flux_takes_no_file_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_TEXT", len(SECRET))
    large = f"{SECRET}\n"
    assert hits(f"{FLUX}/a.yaml", SECRET) == [VALUE]
    assert hits(f"{FLUX}/a.yaml", large) == [(1, "too-large", "larger")]
    assert hits(f"{FLUX}/a", f"{IDENTITY}\n{large}") == [
        (1, "key-age", "an"),
        (1, "too-large", "larger"),
    ]
    # Elsewhere, a larger file is judged by its indentation, without being parsed.
    assert hits("a.yaml", large) == [VALUE]
    text = "kind: Secret\nstringData:\n  note: hunter2\n" + "#" * len(SECRET)
    assert hits("a.yaml", text) == [(3, "secret-plaintext", "stringData.note")]
    assert hits("a.conf", text) == [(3, "secret-plaintext", "stringData.note")]
    stored = text.replace("hunter2", "op://a/b/c")
    assert hits("a.yaml", stored) == []


def test_keys_are_found_in_whatever_holds_them() -> None:
    for path in ("a.md", "a.py", "a.yaml", "a.bin", "go.sum"):
        assert (2, "key-age", "an") in hits(path, f"# a\n# {IDENTITY}\n")


def test_of_documentation_a_key_has_to_look_real() -> None:
    text = pem().replace("\nMII", "\nQQQ")
    assert hits("a.conf", text) == [(1, "key-private", "a")]
    assert hits("a.md", text) == []


def test_a_name_may_be_forbidden() -> None:
    assert hits("id_rsa", "some text") == [(1, "key-private", "an")]
    assert hits("a.tfstate", "{}") == [(1, "terraform-state", "a")]


URL = f"postgres://app:{PASSWORD}@db/app"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.conf", True),
        (f"{FLUX}/a.conf", True),
        ("a.md", False),
        ("a.py", False),
        ("package-lock.json", False),
        ("flux/package-lock.json", True),
    ],
)
def test_addresses_with_a_password_are_found_where_files_are_read(
    path: str, expected: bool
) -> None:
    found = [(line, rule) for line, rule, _ in hits(path, f"\n\n# {URL}\n")]
    assert ((3, "url-password") in found) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.yaml", True),
        ("a.json", True),
        ("a", True),
        ("a.conf", True),
        ("a.png", True),
        ("pnpm-lock.yaml", False),
        ("flux/pnpm-lock.yaml", True),
        ("a.py", False),
        ("flux/a.py", True),
        ("flux/a.md", True),
        ("flux/a.html", True),
    ],
)
@pytest.mark.parametrize(
    "start", ["", "---\n", "# x\n\n---\n", "\r\n  # x\r\n", "%YAML 1.2\n---\n"]
)
def test_a_manifest_is_one_by_its_beginning(path: str, expected: bool, start: str) -> None:
    line = 4 + start.count("\n")
    found = [(line, rule, name) for line, rule, name in hits(path, start + SECRET) if rule != "x"]
    assert ((line, *VALUE[1:]) in found) is expected


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "{kind: Secret, stringData: {note: hunter2}}",
        "[{kind: Secret, stringData: {note: hunter2}}]",
        "'kind': Secret\nstringData: {note: hunter2}",
        "metadata: {}\nkind: Secret\nstringData: {note: hunter2}",
        "items:\n- kind: Secret\n  stringData: {note: hunter2}",
        "users: [{user: {token: hunter2}}]",
        "auths: {a: {auth: aHVudGVyMg==}}",
        '{"auths": {"a": {"auth": "aHVudGVyMg=="}}}',
        'kind: Config\nx: [{"users": [{"user": {"client-key-data": "aHVudGVyMg=="}}]}]',
    ],
)
def test_what_may_hold_a_secret_is_read_whatever_it_is_called(text: str) -> None:
    (found,) = {rule for _, rule, _ in hits("a.conf", text)}
    assert found in ("secret-plaintext", "kubeconfig-credential", "registry-credential")


SOPS = f"a: {ENCRYPTED}\nb: note\n{sops_block(RECIPIENT, options='unencrypted_suffix: _x')}\n"


def test_an_encrypted_file_is_read_whatever_it_is_called() -> None:
    assert hits("a.conf", f"data: 1\n{SOPS}") == [
        (1, "secret-plaintext", "data"),
        (3, "secret-plaintext", "b"),
    ]
    text = f'{{"a": "{ENCRYPTED}", "b": "note", "sops": {render("{{ sops_json }}")}}}'
    assert hits("a.conf", text) == [(1, "secret-plaintext", "b")]


FLAT = render("{{ sops_dotenv }}")
INI = f"[sops]\n{render('{{ sops_ini }}')}\n"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".env", f"A={ENCRYPTED}\n{FLAT}", []),
        ("a.conf", f"A={ENCRYPTED}\n{FLAT}", []),
        (".env", f"A={ENCRYPTED}\nB=note\n{FLAT}", [(2, "secret-plaintext", "B")]),
        ("a.conf", f"A={ENCRYPTED}\nB=note\n{FLAT}", [(2, "secret-plaintext", "B")]),
        ("a.ini", f"[x]\nA={ENCRYPTED}\nB=note\n{INI}", [(3, "secret-plaintext", "B")]),
        (".env", f"A={ENCRYPTED}\nB_unencrypted=note\n{FLAT}", []),
        (
            f"{TREE}/.env",
            f"A={ENCRYPTED}\nB_unencrypted=note\n{FLAT}",
            [(2, "secret-plaintext", "B_unencrypted")],
        ),
        (
            f"{FLUX}/.env",
            f"A={ENCRYPTED}\nB_unencrypted=note\n{FLAT}",
            [],
        ),
        (
            ".env",
            f"A_unencrypted=note\n{FLAT}",
            [(2, "sops-nothing-encrypted", "has")],
        ),
        (
            ".env",
            f"A={ENCRYPTED}\npassword_unencrypted={PASSWORD}\nPASSWORD={PASSWORD}\n{FLAT}",
            [(3, "secret-plaintext", "PASSWORD"), (3, "password", "PASSWORD")],
        ),
        (
            ".env",
            f"A={ENCRYPTED}\n{FLAT.replace('sops_mac', 'sops_mic')}",
            [(2, "sops-no-mac", "the")],
        ),
        ("a.md", f"A={ENCRYPTED}\nB=note\n{FLAT}", []),
        ("a.py", f"A={ENCRYPTED}\nB=note\n{FLAT}", []),
        ("a.yaml", f"A={ENCRYPTED}\nB=note\n{FLAT}", []),
    ],
)
def test_a_flat_file_of_sops_is_encrypted_as_it_says(path: str, text: str, expected: Told) -> None:
    assert hits(path, text) == expected


CONFIG = {".sops.yaml": f"creation_rules: [{{path_regex: 'secret', age: {RECIPIENT_PQ}}}]"}


def test_an_encrypted_file_has_the_recipients_of_its_rule() -> None:
    for path, text in ((".env.secret", f"A={ENCRYPTED}\n{FLAT}"), ("secret.yaml", SOPS)):
        found = hits(path, text, beside=CONFIG)
        assert [rule for _, rule, _ in found if rule.startswith("sops")] == [
            "sops-wrong-recipient",
            "sops-missing-recipient",
        ]
    assert (2, "sops-no-rule", "no") in hits(".env", f"A={ENCRYPTED}\n{FLAT}", beside=CONFIG)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        (".env", "A=note\n", [(1, "dotenv-values", "A")]),
        (".env.local", "A=\nB='note'\n", [(2, "dotenv-values", "B")]),
        (".env", "PUID=1000\nDB_PORT=5432\nA=${B}\nC=changeme\n", []),
        (".env", "PORT=note\nA=5432\n", [(1, "dotenv-values", "PORT"), (2, "dotenv-values", "A")]),
        (".env.example", "A=note\n", []),
        (".env.example", f"PASSWORD={PASSWORD}\n", [(1, "password", "PASSWORD")]),
        ("app.env", "A=note\n", []),
        ("app.env", f"PASSWORD={PASSWORD}\n", [(1, "password", "PASSWORD")]),
        ("app.env", "PASSWORD=a$1bQuince77\n", []),
        (
            ".env",
            "kind: Secret\nstringData:\n  a: hunter2\n",
            [(3, "secret-plaintext", "stringData.a")],
        ),
        (".env", "kind: Secret\nstringData:\n  a: op://a/b/c\n", []),
        (
            f"{TREE}/app.env",
            "kind: Secret\nstringData:\n  a: op://a/b/c\n",
            [PLAIN, (3, "secret-plaintext", "stringData.a")],
        ),
        (f"{TREE}/app.env", "A=note\n", [PLAIN]),
        (f"{TREE}/app.env", " \n", []),
        ("app.enc.env", "A=note\n", [(1, "not-encrypted", "in")]),
    ],
)
def test_a_flat_file_without_sops_holds_no_secret(path: str, text: str, expected: Told) -> None:
    assert hits(path, text)[: len(expected) or None] == expected


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.sops.txt", "note", True),
        ("a.sops.toml", "note", True),
        ("a.sops.toml", "{% if a %}", False),
        ("a.sops.toml", " \n", False),
        ("a.sops.example.toml", "note", False),
        ("a.sops.toml", render("{{ sops_binary }}"), False),
        (f"{TREE}/LICENSE.sops", "note", True),
        ("a.toml", "note", False),
        ("my-secret.toml", "note", True),
        ("my-secret.png", "note", False),
        ("a.sops.yaml", "a: note", True),
        ("a.sops.yaml", "a: ''", False),
        ("a.sops.yaml", "{a: {{ b }}}", False),
        ("a.sops.yaml", SOPS, False),
        ("my-secret.yaml", "a: note", True),
        ("my-secret.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {a: note}", False),
        ("a.sops.yaml", "apiVersion: v1\nkind: ConfigMap\ndata: {a: note}", True),
        ("a.sops.yaml", SECRET, False),
        ("other.yaml", "a: note", False),
    ],
)
def test_what_is_promised_to_be_encrypted_is(path: str, text: str, expected: bool) -> None:
    found = [hit for hit in hits(path, text, beside=CONFIG) if hit[1] == "not-encrypted"]
    where = 1 + text.partition("note")[0].count("\n")
    named = "a" if path.startswith(TREE) else "in"
    assert found == ([(where, "not-encrypted", named)] if expected else [])


def test_a_rule_says_what_is_to_be_encrypted_but_for_what_a_name_promises() -> None:
    rule = f"{{path_regex: 'secret', encrypted_regex: ^a$, age: {RECIPIENT}}}"
    beside = {".sops.yaml": f"creation_rules: [{rule}]"}
    text = "b: note\na: note\n"
    assert hits("secret.yaml", text, beside=beside) == [(2, "not-encrypted", "in")]
    assert hits("secret.yaml", "b: note\n", beside=beside) == []
    assert hits("secret.sops.yaml", "b: note\n", beside=beside) == [(1, "not-encrypted", "in")]
    # A rule for every file does not mean any file in particular.
    every = {".sops.yaml": f"creation_rules: [{{path_regex: '.*', age: {RECIPIENT}}}]"}
    assert hits("a.yaml", text, beside=every) == []
    assert hits("a.toml", text, beside=every) == []
    for path in ("a.sops.yaml", "secret.yaml"):
        (hit,) = hits(path, "a: [\n", beside=beside)
        assert hit[1] == "unreadable"
    assert hits("a.sops.yaml", "{{ a }}\na: [\n", beside=beside) == []


def test_a_configuration_of_sops_is_judged() -> None:
    wrong = "creation_rules:\n- path_regex: ^(?!a)\n"
    assert hits(".sops.yaml", wrong) == [(2, "sops-bad-pattern", "path_regex")]
    assert hits("other.yaml", wrong) == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.yaml", "a: note", True),
        ("a.txt", "a note", True),
        ("a.sops.txt", "a note", True),
        ("a.html", "a note", True),
        ("a.py", "a note", True),
        ("a.py", " \n", False),
        ("a.py", render("{{ sops_binary }}"), False),
        ("a.txt", render("{{ sops_binary }}"), False),
        ("a.bin", b"\xff\0" + noise(20), True),
        ("a", "a note", True),
        ("a.yaml", "- a", True),
        ("a.yaml", "---\n", False),
        ("a.yaml", "null", False),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap", False),
        ("a.yaml", "kind: ConfigMap", True),
        ("a.yaml", SECRET, False),
        ("a.yaml", f"a: {ENCRYPTED}\n{sops_block(RECIPIENT)}", False),
        ("kustomization.yaml", "resources: [a.yaml]", False),
        ("kustomization.yml", "resources: [a.yaml]", False),
        ("Kustomization", "resources: [a.yaml]", True),
        ("a-kustomization.yaml", "resources: [a.yaml]", True),
        (".gitignore", "a", False),
        ("README.md", "a", False),
        (".sops.yaml", "creation_rules: []", False),
    ],
)
def test_among_the_secrets_everything_is_encrypted(
    path: str, text: str | bytes, expected: bool
) -> None:
    found = [hit for hit in hits(f"{TREE}/{path}", text) if hit[1] == "not-encrypted"]
    assert found == ([PLAIN] if expected else [])
    assert PLAIN not in hits(f"{FLUX}/{path}", text)


def test_a_document_among_the_secrets_is_told_by_its_line() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\n---\na: note\n"
    assert (4, "not-encrypted", "a") in hits(f"{TREE}/a.yaml", text)


BLOCK = sops_block(RECIPIENT, options="encrypted_regex: ^(data|stringData)$")
HOLLOW = "sops-nothing-encrypted"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"a: note\n{BLOCK}", [2]),
        (f"a: note\nb: {ENCRYPTED}\n{BLOCK}", []),
        (f"a: ''\n{BLOCK}", []),
        ("a: note\nsops: {version: x}", []),
        (f"a: note\n{sops_block(with_mac=False)}", []),
        (f"a: note\n{sops_block(RECIPIENT, with_mac=False)}", [2]),
        (f"a: note\n{sops_block()}", [2]),
        (f"apiVersion: v1\nkind: Secret\nx: y\n{BLOCK}", []),
        (f"apiVersion: v1\nkind: List\nx: y\n{BLOCK}", []),
        (f"kind: SecretList\nx: y\n{BLOCK}", []),
        (f"kind: Other\nx: y\n{BLOCK}", [3]),
        (f"a: note\n{BLOCK}\n---\nb: {ENCRYPTED}\n{BLOCK}", []),
        (f"a: note\n{BLOCK}\n---\nb: note\n{BLOCK}", [2]),
        (f"a: note\n{BLOCK}\n---\nb: {ENCRYPTED}\n{sops_block(RECIPIENT)}", [2]),
    ],
)
def test_one_run_of_sops_encrypts_something(text: str, lines: list[int]) -> None:
    assert [line for line, rule, _ in hits("a.yaml", text) if rule == HOLLOW] == lines


BROKEN = "kind: Secret\nstringData:\n  note: hunter2\nx: [\n"


def test_what_cannot_be_read_is_read_as_a_template() -> None:
    assert hits("a.yaml", BROKEN) == [(3, "secret-plaintext", "stringData.note")]
    assert hits("a.yaml", f"{BROKEN}password: {PASSWORD}\n") == [
        (3, "secret-plaintext", "stringData.note"),
        (5, "password", "password"),
    ]
    stored = BROKEN.replace("hunter2", "op://a/b/c")
    assert hits("a.yaml", stored) == []
    assert set(hits(f"{FLUX}/a.yaml", stored)) == {(3, "secret-plaintext", "stringData.note")}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.yaml", "apiVersion: v1\nkind: Secret\nx: [\n", True),
        ("a.yaml", "apiVersion: v1\nkind: ConfigMap\nx: [\n", False),
        ("a.yaml", "apiVersion: v1\nx: [Secret\n", False),
        ("a.yaml", "kind: Secret\nx: [\n", False),
        ("a.yaml", "x: [\\u0041\n", True),
        ("a.yaml", "{{ a }}\napiVersion: v1\nkind: Secret\nx: [\n", False),
        ("a.md", "apiVersion: v1\nkind: Secret\nx: [\n", False),
        ("yarn.lock", "apiVersion: v1\nkind: Secret\nx: [\n", False),
        ("a.conf", "apiVersion: v1\nkind: Secret\nx: [\n", True),
        (f"{FLUX}/a.yaml", "{{ a }}\napiVersion: v1\nkind: Secret\nx: [\n", True),
        (f"{FLUX}/a.yaml", f"apiVersion: v1\n{BROKEN}", True),
        ("a.yaml", f"apiVersion: v1\n{BROKEN}", False),
        (f"{TREE}/a.yaml", "x: [\n", True),
        (f"{FLUX}/a.yaml", "x: [\n", False),
    ],
)
def test_what_cannot_be_read_must_not_hide_a_secret(path: str, text: str, expected: bool) -> None:
    lines = [line for line, rule, _ in hits(path, text) if rule == "unreadable"]
    assert bool(lines) is expected
    assert all(line >= 1 for line in lines)


def test_comments_are_read_where_the_rest_is() -> None:
    text = f"a: note\n# password: {PASSWORD}\n"
    assert hits("a.yaml", text) == [(2, "password", "password")]
    secret = "a: note\n# kind: Secret\n# stringData:\n#   note: hunter2\n"
    assert hits("a.yaml", secret) == [(4, "secret-plaintext", "stringData.note")]


def test_prose_that_happens_to_be_yaml_is_no_manifest() -> None:
    assert hits("a.yaml", "kind Secret") == []
    assert hits("a.yaml", f"- password: {PASSWORD}") == [(1, "password", "0.password")]


def test_flux_reads_without_regard_to_tags() -> None:
    assert hits(f"{FLUX}/a.conf", "a: !secret b\n") == [(1, "yaml-tag", "a")]
    assert hits("a.yaml", "a: !secret b\n") == []
    assert set(hits("flux/a.md", SECRET)) == {VALUE}
    assert hits("flux/a.md", f"a\n{BROKEN}") == []
    stored = f"apiVersion: v1\n{BROKEN}".replace("hunter2", "op://a/b/c")
    assert hits("flux/a.md", stored) == [(4, "secret-plaintext", "stringData.note")]
    assert hits("a.md", stored) == []
    assert hits("flux/a.css", f"a\n{BROKEN}") == [(4, "secret-plaintext", "stringData.note")]
    assert hits("flux/a.css", f"a\n{BROKEN}".replace("hunter2", "op://a/b/c")) == [
        (4, "secret-plaintext", "stringData.note")
    ]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a.py", 'password = "Tr0ub4dor' + '&3x"', [(1, "password", "a")]),
        ("tests/a.py", 'password = "Tr0ub4dor' + '&3x"', []),
        ("a.md", f"password: {PASSWORD}", []),
        ("a.sops.txt", "note", [(1, "not-encrypted", "in")]),
        ("a.conf", f"password = {PASSWORD}", [(1, "password", "password")]),
        ("a.tf", f'password = "{PASSWORD}"', [(1, "password", "password")]),
        ("a.tf", f"password = {PASSWORD}", []),
        ("a.sh", f"password={PASSWORD}", [(1, "password", "password")]),
        ("a.sh", "password=${1}Quince77lantern", []),
        ("a.sh", "password=a$1bQuince77", []),
        ("a", "#!/bin/sh\npassword=a$1bQuince77", []),
        ("a", "\n#!/bin/sh\npassword=a$1bQuince77", [(3, "password", "password")]),
        ("a.sums", f"token = sha256:{'0123456789abcdef' * 4}", []),
        (
            "a.sh",
            "cat <<EOF\nkind: Secret\nstringData:\n  a: your-value\n  b: c\nEOF",
            [(5, "secret-plaintext", "stringData.b")],
        ),
        ("a.conf", "x\nkind: Secret\nstringData:\n  a: op://a/b/c\n", []),
        (
            f"{TREE}/a.conf",
            "x\nkind: Secret\nstringData:\n  a: op://a/b/c\n",
            [PLAIN, (4, "secret-plaintext", "stringData.a")],
        ),
    ],
)
def test_other_text_is_read_by_what_it_is(path: str, text: str, expected: Told) -> None:
    found = hits(path, text)
    assert found[: len(expected) or None] == [
        (line, rule, found[n][2] if name == "a" and rule == "password" else name)
        for n, (line, rule, name) in enumerate(expected)
    ]


@pytest.mark.parametrize(
    ("path", "mode", "text", "shown"),
    [
        ("a.conf", FILE, "a", "a"),
        ("go.sum", FILE, "a", ""),
        ("flux/go.sum", FILE, "a", "a"),
        ("a", SYMLINK, "a", ""),
        ("a", SUBMODULE, "a", "a"),
        ("message", TEXT, "a", "a"),
        ("a.sums", FILE, f"a sha256:{'0123456789abcdef' * 4}", "a SUM"),
        (
            "a.conf",
            FILE,
            f"a sha256:{'0123456789abcdef' * 4}",
            f"a sha256:{'0123456789abcdef' * 4}",
        ),
    ],
)
def test_gitleaks_sees_all_but_sums_and_links(path: str, mode: str, text: str, shown: str) -> None:
    assert file(blob(path, text, mode)).for_gitleaks == shown


def test_expressions_are_harmless_where_a_language_has_them() -> None:
    text = 'a = b.c\nd = "some-text-in-quotes"\ne = f()\n'
    assert file(blob("a.tf", text)).harmless() == {1, 3}
    assert file(blob("a.conf", text)).harmless() == set()
    nix = "a = ''\n  b = c\n'';\n"
    assert file(blob("a.nix", nix)).harmless() != file(blob("a.tf", nix)).harmless()


def checked(
    *blobs: Blob, report: object = (), code: int = 0, beside: Mapping[str, str] | None = None
) -> Report:
    process = Process(report, code=code)
    answer = engine.check(Files(*blobs, beside=beside), Trusted(), process.begun)
    assert process.stdin.closed
    return answer


def test_every_file_is_checked_and_what_is_found_is_sorted() -> None:
    answer = checked(
        blob("b.yaml", SECRET, commit="c0"),
        blob("a.yaml", SECRET),
        blob("a.yaml", SECRET),
        blob("message", f"a\n{IDENTITY}", TEXT, "c1"),
    )
    assert [(one.path, one.line, one.rule, one.commit) for one in answer.findings] == [
        ("a.yaml", 4, "secret-plaintext", ""),
        ("b.yaml", 4, "secret-plaintext", "c0"),
        ("message", 2, "key-age", "c1"),
    ]
    assert (answer.checked, answer.undecided) == (3, [])


def test_each_commit_has_its_own_rules() -> None:
    beside = {"c0:.sops.yaml": f"creation_rules: [{{age: {RECIPIENT_PQ}}}]"}
    text = f"a: {ENCRYPTED}\n{sops_block(RECIPIENT, options='unencrypted_suffix: _x')}"
    answer = checked(
        blob("a.yaml", text, commit="c0"), blob("a.yaml", text, commit="c1"), beside=beside
    )
    assert {(one.rule, one.commit) for one in answer.findings} == {
        ("sops-wrong-recipient", "c0"),
        ("sops-missing-recipient", "c0"),
    }


def test_what_counts_apart_costs_nothing_else_its_judgement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regex, "Budget", functools.partial(regex.Budget, 300))
    text = f"a: {ENCRYPTED}\n{sops_block(RECIPIENT, options='unencrypted_suffix: _x')}"
    rule = f"creation_rules: [{{path_regex: PATTERN, age: {RECIPIENT}}}]"
    patterns = {"c0": "^a", "c1": "(a|b|c)*(a|b|c)*(a|b|c)*d", "c2": "^ab"}
    beside = {f"{one}:.sops.yaml": rule.replace("PATTERN", each) for one, each in patterns.items()}
    blobs = [blob(f"{'abc' * 9}.yaml", text, commit=one) for one in patterns]

    def undecided(*, apart: bool) -> list[str]:
        # What was searched before costs nothing.
        regex._searched.cache_clear()
        source = Files(*blobs, beside=beside, apart=apart)
        return engine.check(source, Trusted(), Process().begun).undecided

    costly, other = undecided(apart=False)
    assert costly == other
    assert "cannot be judged: a path_regex of .sops.yaml takes too long" in costly
    assert undecided(apart=True) == [costly]


def test_what_the_caller_trusts_counts() -> None:
    text = f"a: {ENCRYPTED}\n{sops_block(RECIPIENT, options='unencrypted_suffix: _x')}"
    trusted = Trusted(frozenset({RECIPIENT_PQ}))
    answer = engine.check(Files(blob("a.yaml", text)), trusted, Process().begun)
    assert [one.rule for one in answer.findings] == ["sops-missing-recipient"]


def test_what_cannot_be_judged_is_told_and_the_rest_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = {"b": Undecidable("is odd"), "c": RecursionError(), "d": ValueError("hunter2")}
    real = File.hits

    def broken(self: File) -> Iterator[object]:
        yield from real(self)
        if self.blob.path in errors:
            raise errors[self.blob.path]

    monkeypatch.setattr(File, "hits", broken)
    answer = checked(*(blob(path, f"{IDENTITY}\n") for path in "abcd"))
    assert answer.undecided == [
        "b is odd",
        "c is nested too deeply",
        "d cannot be judged: ValueError",
    ]
    # Findings from before the error count.
    assert [one.path for one in answer.findings] == list("abcd")


def test_where_no_files_can_be_had_nothing_is_decided() -> None:
    class Broken(Files):
        @override
        def blobs(self) -> Iterator[Blob]:
            yield from super().blobs()
            raise SourceError("git failed")

    answer = engine.check(Broken(blob("a.yaml", SECRET)), Trusted(), Process().begun)
    assert answer.undecided == ["git failed"]
    assert len(answer.findings) == 1


def test_without_gitleaks_the_rest_is_judged() -> None:
    answer = engine.check(Files(blob("a.yaml", SECRET)), Trusted(), Begun(None, "no gitleaks"))
    assert answer.undecided == ["no gitleaks"]
    assert len(answer.findings) == 1
    assert checked(blob("a", "b"), code=1).undecided == ["gitleaks failed with exit code 1"]


def leaked(one: Blob, line: int, rule: str = "generic-api-key") -> bool:
    """Return whether a finding of gitleaks in a line of a file counts."""
    before = len(["#", "", "#", "", ""]) - 1
    answer = checked(one, report=[finding(before + line, before + line, rule)], code=LEAKS)
    found = [one for one in answer.findings if one.rule.startswith("gitleaks:")]
    assert [(each.path, each.line, each.rule) for each in found] == [
        (one.path, line, f"gitleaks:{rule}")
    ] * len(found)
    assert answer.undecided == []
    return bool(found)


@pytest.mark.parametrize(
    ("one", "line", "generic", "by_form"),
    [
        (blob("a.conf", "a\nnote\n"), 2, True, True),
        (blob("a.md", "a\nnote\n"), 2, False, True),
        (blob("message", "a\nnote\n", TEXT), 2, False, True),
        # Lines that have a finding already, or name something, or are expressions.
        (blob("a.yaml", SECRET), 4, False, True),
        (blob("a.yaml", SECRET), 3, True, True),
        (blob("a.tf", "a = b.c\nd = 'e'\n"), 1, False, True),
        (blob("a.tf", "a = b.c\nd = 'some-text-in-quotes'\n"), 2, True, True),
        (
            blob("a.yaml", "x:\n  secretKeyRef:\n    name: some-long-name\n    key: b\n"),
            3,
            False,
            True,
        ),
        # Lines that say where a value is.
        (blob("a.conf", "remoteKey: some/path\n"), 1, False, True),
        (blob("a.conf", "key: SOME_NAME\n"), 1, False, True),
        (blob("a.conf", "note\nkey: SOME_NAME"), 2, False, True),
        (blob("a.conf", "key: Some9Name\n"), 1, True, True),
    ],
)
def test_what_gitleaks_says_counts_where_nothing_better_is_known(
    one: Blob, line: int, generic: bool, by_form: bool
) -> None:
    assert leaked(one, line) is generic
    assert leaked(one, line, "github-pat") is by_form


def test_what_is_published_is_nobodys() -> None:
    example = ".".join(
        (
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ",
            "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        )
    )
    assert not leaked(blob("a.conf", f"a\n{example}\n"), 2, "jwt")
    assert leaked(blob("a.conf", f"a\n{example}\n"), 1, "jwt")


def test_gitleaks_is_not_shown_what_is_encrypted() -> None:
    process = Process()
    foreign = "{cipher}" + "0123456789abcdef" * 4
    content = render("{{ sops_binary }}")
    secret = f"kind: Secret\nstringData:\n  a: '{content}'\n"
    engine.check(
        Files(blob("a.yaml", f"a: '{foreign}'\n"), blob("b.yaml", secret), blob("c", "", SYMLINK)),
        Trusted(),
        process.begun,
    )
    assert process.stdin.content.decode().count("\n#\n") == 3
    assert foreign not in process.stdin.content.decode()


def test_a_password_is_told_of_once() -> None:
    answer = checked(blob(".env", f"PASSWORD={PASSWORD}\nDB_PASSWORD={PASSWORD}\n"))
    assert {(one.line, one.rule) for one in answer.findings} == {
        (1, "dotenv-values"),
        (2, "dotenv-values"),
    }
    answer = checked(blob(".env", f"A={ENCRYPTED}\nPASSWORD={PASSWORD}\n{FLAT}"))
    assert [(one.line, one.rule) for one in answer.findings] == [(2, "secret-plaintext")]
    answer = checked(blob("a.conf", f"password={PASSWORD}\nDB_PASSWORD={PASSWORD}\n"))
    assert [(one.line, one.rule) for one in answer.findings] == [(1, "password"), (2, "password")]
