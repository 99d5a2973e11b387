"""A password in a configuration is told apart from names, placeholders and mentions of
passwords."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable

import pytest

from sopslab.policy import documents, passwords, published
from sopslab.policy.findings import Hit
from tests.unit.policy.policy_material import ALNUM, age_armor, b64, encrypted_value, noise, pick

PW = "Quince77" + "lantern"
TOKEN = "Zx81Qm2L" + "p0Vb7Nc4"
LOWER = "abcdefgh" + "12345678"
NAME = "DbPassword." + "ForThem12"
PHRASE = "correct horse battery staple"


def told(hits: Iterable[Hit]) -> list[tuple[int, str]]:
    """Return line and name of each password that is reported."""
    found = []
    for hit in hits:
        name, said, rest = hit.message.partition(" is in plain text")
        assert (hit.rule, said, rest) == ("password", " is in plain text", "")
        found.append((hit.line, name))
    return found


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("password", True), ("dbPassword", True), ("DB_PASSWORD", True), ("DBPassword", True),
        ("db-passwd", True), ("db.pass", True), ("passPhrase", True), ("mysqlPwd", True),
        ("apiKey", True), ("client-secret", True), ("dsn", True), ("secretKeyBase", True),
        ("existingPassword", True), ("existingToken", False), ("db_existing_secret", False),
        ("generatePassword", False), ("has_token", False), ("requires-password", False),
        ("regenerate_password", True), ("passwordKey", False), ("passwords", False),
        ("tokens", False), ("tokenTtl", False), ("tokenTTL", False), ("compass", False),
        ("name", False), ("", False),
    ],
)  # fmt: skip
def test_a_key_names_a_password_in_any_spelling(key: str, expected: bool) -> None:
    assert passwords.is_secret_key(key) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PW, True),
        ("Ab1cd9", True),
        ("Ab1cd", False),
        ((PW * 40)[:512], True),
        ((PW * 40)[:513], False),
        ("quincela", True),
        ("quincel", False),
        ("string", False),
        ("supersecretpw", True),
        ("Passwort", False),
        ("/run/secrets/db", False),
        ("Quincela", False),
        ("QUINCELA", False),
        ("QUINCE77", True),
        ("77771234", False),
        ("quince-l", True),
        ("quince_l", True),
        ("$%&/()=+", False),
        ("db-credentials-9", False),
        ("db-quince-9", True),
        ("db_credentials-9", True),
        ("changeme", False),
        (encrypted_value(), False),
        (" ENC[x1Y", False),
        ("\n".join(age_armor("age1x")), False),
        ("x9://Abcdef", False),
        ("projects/9A-b", False),
        ("aprojects/9A-b", True),
        ("$2" + "y$10$" + pick(ALNUM, 53), False),
    ],
)
def test_a_password_is_varied_and_nothing_else(value: str, expected: bool) -> None:
    assert passwords.is_real("password", value) is expected
    assert not passwords.is_real("name", value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (TOKEN, True),
        (TOKEN[:15], False),
        (TOKEN[:4] * 4, False),
        ("abcdefghijklmnop", False),
        ("0123456789012345", False),
        ("ABCDEFGHIJKLMNOP", False),
        (LOWER, True),
        ("abcdefghIJKLMNOP", True),
        ("ABCDEFGH12345678", True),
        ("abcdefgh_ijklmno", True),
        ("abcdefgh-ijklmno", False),
        ("abcdefgh-ijklmn9", True),
        ("db-credentials-9abc", False),
        (PHRASE, False),
        (f"{TOKEN} {TOKEN}", False),
        ("quincela", False),
    ],
)
def test_a_token_is_long_and_looks_random(value: str, expected: bool) -> None:
    assert passwords.is_real("token", value) is expected


def test_what_repeats_its_key_is_no_value() -> None:
    assert not passwords.is_real("Db9_Password", "DB9_password")
    assert passwords.is_real("Db8_Password", "DB9_password")


def test_what_is_published_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    value = PW + TOKEN
    assert passwords.is_real("password", value)
    half = hashlib.sha256(value.encode()).hexdigest()[:32]
    monkeypatch.setattr(published, "_KNOWN", frozenset((half,)))
    assert not passwords.is_real("password", value)


def test_a_shell_puts_values_in() -> None:
    assert passwords.is_real("password", f"{PW}$a")
    assert not passwords.is_real("password", f"{PW}$a", in_shell=True)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("password", PHRASE, True),
        ("password", "correct horse battery", False),
        ("passphrase", "correct horse battery", True),
        ("dbPassPhrase", "correct horse battery", True),
        ("passphrase", "correct horse", False),
        ("password", "correct horse battery st", False),
        ("password", "correct horse battery staplestaples", False),
        ("password", "Correct horse battery staple", False),
        ("password", " ".join(["horse"] * 23 + ["battery"]), True),
        ("password", " ".join(["horse"] * 24 + ["battery"]), False),
        ("password", "quince77 lantern", True),
        ("password", "qu77 lante", True),
        ("password", "qu77 lant", False),
        ("password", "quince7 lantern", True),
        ("password", "quince! lantern", True),
        ("password", "quince77\tlantern", False),
        ("password", "quince77  lantern", False),
        ("password", "quince77 the lantern", False),
        ("password", "quince77 (lantern)", False),
        ("password", "quince77 läntern", False),
        ("password", "quince77 lan\x07tern", False),
        ("token", PHRASE, False),
    ],
)
def test_a_phrase_is_words_that_are_no_sentence(key: str, value: str, expected: bool) -> None:
    assert passwords.is_real(key, value) is expected


SECURE = b64(noise(256))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"password: {PW}", [(1, "password")]),
        (f"a:\n  b:\n  - c\n  - password: {PW}", [(4, "a.b.1.password")]),
        (f"- - password: {PW}", [(1, "0.0.password")]),
        (f"a b: {{password: {PW}}}", [(1, "….password")]),
        (f"password: {{x: {PW}}}", []),
        (f"password: [{PW}]", []),
        (f"x: &x {{a: b}}\ny: *x\npassword: {PW}", [(3, "password")]),
        (f"x: &x {{password: {PW}}}\ny: [*x, *x]", [(1, "y.1.password")]),
        (f"env:\n- name: DB_PASSWORD\n  value: {PW}", [(3, "env.0.DB_PASSWORD")]),
        (f"env:\n- name: DB_HOST\n  value: {PW}", []),
        ("env:\n- name: DB_PASSWORD\n  value: changeme", []),
        (f"env:\n- name: DB_PASSWORD\n  other: {PW}", []),
        (f"env:\n- other: DB_PASSWORD\n  value: {PW}", []),
        (f"secretKeyRef: {{name: a, password: {PW}}}\npassword: {PW}", [(2, "password")]),
        (f"enum: [{{password: {PW}}}]", []),
        (f"tokenRef: {{password: {PW}}}", [(1, "tokenRef.password")]),
        (f"refs: [{{name: a}}, {{password: {PW}}}]", [(1, "refs.1.password")]),
        (f"secretKey: {TOKEN}", [(1, "secretKey")]),
        (f"secretKey: {TOKEN}\nremoteRef: {{key: a}}", []),
        (f"SecretKey: {TOKEN}\nsourceRef: {{key: a}}", []),
        (f"match: {{secretKey: {TOKEN}}}", []),
        (f"a: {{match: {{secretKey: {TOKEN}}}}}", []),
        (f"matches: {{secretKey: {TOKEN}}}", [(1, "matches.secretKey")]),
        (f"match: {{a: {{secretKey: {TOKEN}}}}}", [(1, "match.a.secretKey")]),
        (f"password: !secret {PW}\npwd: !other {PW}", [(2, "pwd")]),
        (f"secure: {SECURE}\npwd: {PW}", [(2, "pwd")]),
        (f"args: ['--password={PW}']", [(1, "args.0.password")]),
        (f"args: ['--db-password \"{PW}\"']", [(1, "args.0.db-password")]),
        (f"args: [\"-pwd='{PW}'\"]", [(1, "args.0.pwd")]),
        ("args: ['--password=Ab1cdX']", [(1, "args.0.password")]),
        (f"args: ['--user={PW}']", []),
        (f"args: ['x --password={PW}']", []),
        ("args: ['--password=changeme']", []),
        ("args: ['--password=\"Ab1cd\"']", []),
        (f"url: Server=a;Password={PW};x=y", [(1, "url")]),
        ("url: pwd=Ab1cd9", [(1, "url")]),
        ("url: Server=a;Password=changeme", []),
        (f"url: Server=a;Passwords={PW}", []),
        (f"a: |\n  x: y\n  password: {PW}", [(3, "password")]),
        (f"b:\n  a: >\n    x: y\n\n    password: {PW}", [(2, "password")]),
        (f'a: "x: y\\npassword: {PW}"', [(1, "password")]),
        ('a: "pwd=Ab1cd9\\n"', [(1, "pwd")]),
        ("a: |\n  Server=a;Password=Ab1cd9\n", []),
        (PW, []),
    ],
)  # fmt: skip
def test_a_document_has_passwords_under_their_names(
    text: str, expected: list[tuple[int, str]]
) -> None:
    (root,) = documents.parse(text).documents
    assert told(passwords.in_document(root)) == expected
    assert told(passwords.in_document(root, set())) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  secretKeyRef:\n    name: b\n    key: c\n", {3, 4}),
        ("a:\n  remoteRef: {name: b, property: c}\n", {2}),
        ("a:\n  remoteRef: {name: b, other: c}\n", set()),
        ("a:\n  secretName: {name: b}\n", set()),
        ("a:\n  name: b\n  key: c\n", {2, 3}),
        ("a:\n  Name: b\n  Key: c\n  optional: true\n", {2, 3, 4}),
        ("a:\n  name: b\n  key: c\n  other: d\n", set()),
        ("a:\n  name: b\n", set()),
        ("podSelector:\n- name: b\n- key: c\n", {2, 3}),
        ("podSelector:\n- name: b\n- c\n", set()),
        ("podSelector: {name: b}\n", {1}),
        ("someRef: {name: b}\n", {1}),
        ("someRefs:\n- name: b\n", {2}),
        ("podSelector:\n", set()),
        ("podSelector: {labels: b}\n", set()),
        ("nodes: {name: b}\n", set()),
        (f"a:\n- secretKey: {TOKEN}\n  remoteRef: {{key: b}}\n", {2, 3}),
        (f"a:\n- secure: {SECURE}\n", {2}),
        ("{a: abcdefghi, b: {name: c, key: d}}", {1}),
        # A line that also has another long value is still judged.
        ("{a: abcdefghij, b: {name: c, key: d}}", set()),
        ("[abcdefghij, {name: c, key: d}]", set()),
        ("[abcdefghi, {name: c, key: d}]", {1}),
        ("a: abcdefghij\nb: {name: c, key: d}", {2}),
        ("a: b", set()),
    ],
)
def test_lines_that_only_name_something_are_told(text: str, expected: set[int]) -> None:
    (root,) = documents.parse(text).documents
    names = {99}
    assert list(passwords.in_document(root, names)) == []
    assert names == expected | {99}


@pytest.mark.parametrize(
    "line",
    [
        f"password={PW}", f"password: {PW}", f'password = "{PW}"', f"password : '{PW}'",
        f"  export password={PW}", f"set password={PW}", f"ENV password={PW}",
        f"ARG password={PW}", f"- password: {PW}", f"password => {PW}", f"password := {PW}",
        f'"password": "{PW}",', f"'password': {PW};", f"password={PW}#x", "password: " + PHRASE,
        f"password: {PHRASE} # x", f"password: {PHRASE} ;x", f"password: {PHRASE}  ",
        "password: correct horse battery sta",
        f"# password: {PW}", f"// password: {PW}", f"x ; password = {PW}", f"-- password: {PW}",
        f"<!-- password: {PW} -->", f"# password: &a {PW}", f"helm --set password={PW}",
        f"helm --set-string 'password={PW}'", f'helm --set password="{PW}"',
        f"helm --set password='{PW}'", f"x --password {PW}",
        f"<password>{PW}</password>", f'<add key="password" value="{PW}"/>',
    ],
)  # fmt: skip
def test_a_line_has_a_password_in_many_forms(line: str) -> None:
    assert told(passwords.in_lines(line)) == [(1, "password")]
    assert told(passwords.in_lines(f"a: b\n\n{line}\nc: the d\n")) == [(3, "password")]
    assert told(passwords.in_lines(line.replace("password", "comment", 1))) == []


@pytest.mark.parametrize(
    "line",
    [
        "password: changeme", "password:", "password: ab,Cd12efgh", "password: ''",
        f"password: the {PW}", f'password={{"{PW}": 1}}', "# password: quince77",
        "helm --set password=changeme", "x --password changeme", "<password>changeme</password>",
        f"<password>{PW}</passwords>", '<add key="password" value="changeme"/>',
        f"x--password {PW}", f"# password: the {PW}",
    ],
)  # fmt: skip
def test_a_line_may_have_none(line: str) -> None:
    assert told(passwords.in_lines(line)) == []


def test_every_line_is_looked_at() -> None:
    lines = (
        f"password: a\nuser: b\npassword: '{{x'\npwd={PW}\npwd: {{'a'\n# token: *a\n"
        f"# pass: {PW}\n#pass: a\n# pass: {PW}\nx --set a=b --set token={TOKEN} --set pwd={PW}\n"
        f"<a>bcdefg</a><pwd>{PW}</pwd> --a-token abcdef --b-token {TOKEN}\n"
    )
    assert sorted(told(passwords.in_lines(lines))) == [
        (4, "pwd"), (7, "pass"), (9, "pass"), (10, "pwd"), (10, "token"),
        (11, "b-token"), (11, "pwd"),
    ]  # fmt: skip


def test_a_line_that_opens_more_ends_nothing() -> None:
    assert told(passwords.in_lines(f"password: {{'a': b}}\npwd: {PW}\n")) == [(2, "pwd")]
    text = f'password = "a1B${{data["a"]}}"\npwd = "{PW}"\n'
    assert told(passwords.in_lines(text, quoted=True)) == [(2, "pwd")]


def test_in_quotes_alone_a_text_is_one() -> None:
    assert told(passwords.in_lines(f"password = {PW}", quoted=True)) == []
    assert told(passwords.in_lines(f"a = b\npassword = '{PW}'", quoted=True)) == [(2, "password")]
    cut = 'password = "a1B${data["a"]}"'
    assert told(passwords.in_lines(cut, quoted=True)) == []
    assert told(passwords.in_lines(cut.replace("${", "{"), quoted=True)) == [(1, "password")]
    assert told(passwords.in_lines(f'password = "{{\'{PW}"', quoted=True)) == [(1, "password")]
    assert told(passwords.in_lines(cut)) == [(1, "password")]


def test_a_shell_expands_what_is_not_in_apostrophes() -> None:
    for value, expected in ((f'"{PW}$a"', []), (f"{PW}$a", []), (f"'{PW}$a'", [(1, "password")])):
        assert told(passwords.in_lines(f"password={value}", in_shell=True)) == expected
        assert told(passwords.in_lines(f"password={value}")) == [(1, "password")]
    assert told(passwords.in_lines(f"password={PHRASE}", in_shell=True)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# password: quince77", []),
        ("# password: quincE77", [(1, "password")]),
        ("# password: quince-7", [(1, "password")]),
        ("# password: QUINCE-7", [(1, "password")]),
        (f"# token: {LOWER}", [(1, "token")]),
        ("# password: *anchorA1", [(1, "password")]),
        ("a: &anchorA1 b\n# password: *anchorA1\n", []),
        ("a: &anchorB1 b\n# password: *anchorA1\n", [(2, "password")]),
        (f"# secretKey: {NAME}", []),
        (f"# SecretKey: '{NAME}'", []),
        (f"# secret_key: {NAME}", [(1, "secret_key")]),
        (f"# secretKey: 1{NAME}", [(1, "secretKey")]),
    ],
)
def test_a_comment_shows_defaults_and_has_to_be_varied(
    text: str, expected: list[tuple[int, str]]
) -> None:
    assert told(passwords.in_comments(text)) == expected


CREATE = "kubectl create secret generic a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{CREATE} --from-literal=pin=4711", [(1, "pin")]),
        (f"{CREATE} \\\n  --from-literal='pin=4711'", [(2, "pin")]),
        (f"{CREATE} --from-literal pin=\"4711\" --from-literal=a=b1cd", [(1, "pin"), (1, "a")]),
        (f"{CREATE} --from-literal=pin=471", []),
        (f"{CREATE} --from-literal=pin=changeme", []),
        (f"{CREATE} --from-literal=userName=ada77", []),
        (f"{CREATE} --from-literal=host=ada77", []),
        (f"{CREATE} --from-literal=hosts=ada77", [(1, "hosts")]),
        ("--from-literal=pin=4711", [(1, "pin")]),
        ("kubectl create configmap a --from-literal=pin=4711", []),
        ("kubectl create cm a --from-literal=pin=4711", []),
        (f"kubectl create cm a --from-literal=password={PW}", [(1, "password")]),
        (f"kubectl create cm a; {CREATE} --from-literal=pin=4711", [(1, "pin")]),
        (f"{CREATE}; kubectl create cm a --from-literal=pin=4711", []),
        # A command that far before the option does not count.
        ("create cm " + "x" * 497 + " --from-literal=pin=4711", [(1, "pin")]),
        ("create cm " + "x" * 496 + " --from-literal=pin=4711", []),
        ("--from-literal=pin=4711; kubectl create cm a", [(1, "pin")]),
        ("helm --set pin=4711", []),
    ],
)  # fmt: skip
def test_a_literal_of_a_secret_is_one_whatever_its_name(
    text: str, expected: list[tuple[int, str]]
) -> None:
    assert told(passwords.in_lines(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'a = 1\npassword = "{PW}"\n', [(2, "password")]),
        (f"password = {PW}\n", []),
        (f"a = <<EOF\npassword: {PW}\nEOF\npassword: {PW}\n", [(2, "password")]),
        (f"a = <<-'EOF'\n  x\n  EOF\nb = <<~X\n\npassword: {PW}\nX\n", [(6, "password")]),
        (f"a = <<EOF\nx EOF\npassword: {PW}\n", [(3, "password")]),
        (f"a: |||\n  password: {PW}\n|||\npassword: {PW}\n", [(2, "password")]),
        (f"a: '''\n  x '''\npassword: {PW}\n", []),
        (f'a: """password: {PW}\n"""\n', [(1, "password")]),
        (f'a: """x"""\npassword: {PW}\n', []),
        (f"a = ''\n  password: {PW}\n'';\n", []),
        (f"a << b\npassword: {PW}\n", []),
    ],
)
def test_an_expression_has_text_in_quotes_or_in_blocks(
    text: str, expected: list[tuple[int, str]]
) -> None:
    assert told(passwords.in_expressions(text)) == expected


def test_blocks_of_text_without_an_end_take_no_quadratic_time() -> None:
    start = time.process_time()
    list(passwords.in_expressions("<<a\n" * 25_000))
    assert time.process_time() - start < 1


def test_two_apostrophes_open_a_block_in_nix_alone() -> None:
    text = f"a = ''\n  password: {PW}\n'';\npassword: {PW}\nb = |||\npwd: {PW}\n|||\n"
    assert told(passwords.in_expressions(text, is_nix=True)) == [(2, "password")]
    assert told(passwords.in_expressions(text)) == [(6, "pwd")]


@pytest.mark.parametrize(
    ("text", "is_nix", "expected"),
    [
        ('a = b\nc = "defghijk"\nd: e.f\n', False, [1, 3]),
        ("a = \"b\"\n\na = f('abcdefgh')\nc\nd = f(x)\n", False, [5]),
        ("a = <<E\nb = c\nE\nd = e\n", False, [4]),
        ("a = b <<E\nb = c\n", False, []),
        ("a = ''\nb = c\n''\nd = e\n", True, [4]),
        ("a = ''\nb = c\n''\nd = e\n", False, [2, 4]),
        ("", False, []),
    ],
)
def test_a_line_that_assigns_an_expression_is_told(
    text: str, is_nix: bool, expected: list[int]
) -> None:
    assert list(passwords.expression_lines(text, is_nix=is_nix)) == expected


def test_sums_are_taken_out() -> None:
    text = f"a: sha256:{'0a' * 32} b {'1f' * 20} c {PW}"
    assert passwords.without_sums(text) == f"a: SUM b SUM c {PW}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'password = "{PW}"', [(1, "password")]),
        (f"a\n  dbPassword: `{PW}`", [(2, "dbPassword")]),
        (f"cfg['password'] := '{PW}'", [(1, "password")]),
        (f'a = "{PW}"', []),
        (f"password = {PW}", []),
        ('password = "quince77lantern"', []),
        ('password = "Quincelantern"', []),
        ('password = "quince-7lantern"', [(1, "password")]),
        ('password = "QUINCE-7LANTERN"', [(1, "password")]),
        ('password = "changeme1A"', []),
        (f"password = 'a1234567'; pwd = '{PW}'", [(1, "pwd")]),
    ],
)
def test_in_source_code_a_password_is_varied(text: str, expected: list[tuple[int, str]]) -> None:
    assert told(passwords.in_source(text)) == expected


HASH = pick(ALNUM, 22)
BCRYPT = "$2" + "y$10$" + pick(ALNUM, 53)
URL, HEADER = "url-password", "authorization-header"
HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"https://ada:{PW}@host.org", URL),
        (f"postgres://:{PW}@{{{{ host }}}}", URL),
        (f"https://example:{PW}@host.org", None),
        (f"https://EXAMPLE:{PW}@host.org", None),
        ("https://ada:Pass@host.org", None),
        ("https://ada:12345@host.org", None),
        ("https://ada:%PW1a@host.org", None),
        ("https://ada:(pw1a@host.org", None),
        ("https://ada::pw1a@host.org", None),
        ("https://ada:changeme@host.org", None),
        ("https://ada:$PWD1_A@host.org", None),
        (f"ada:{PW}@host.org", None),
        (f"Authorization: Bearer {TOKEN}", HEADER),
        (f'"authorization": "basic {TOKEN}"', HEADER),
        (f"AUTHORIZATION=token {TOKEN}", HEADER),
        ("Authorization: Bearer your-token-abc", None),
        (f"Authorization: Digest {TOKEN}", None),
        ("ada:$apr1$abc$" + HASH, "password-hash"),
        (f"a: {BCRYPT}", "password-hash"),
        (BCRYPT.replace("$", "$$"), "password-hash"),
        ("{CRYPT}" + HASH + "abcdef", "password-hash"),
        ("ada:{SHA}" + b64(noise(20)), "password-hash"),
        ("pbkdf2_sha256$1$" + HASH + "$" + HASH * 2, "password-hash"),
        (f"ada:$x$abc${HASH}", None),
        (f"https://hooks.slack.com/services/{TOKEN}/{TOKEN}", "url-token"),
        (f"https://api.telegram.org/bot123456:{TOKEN}{TOKEN}", "url-token"),
        (f"https://hc-ping.com/{HEX}", "url-token"),
        (f"https://nosnch.in/{HEX}", "url-token"),
        (f"https://hooks.slack.com/services/{'T' * 40}", None),
        (f"https://hooks.slack.com/services/{ALNUM[:40]}", None),
        (f"https://hooks.slack.com/services/{'a1b2c3d' * 6}", None),
        (f"https://hooks.slack.com/services/{'a1b2c3d4' * 6}", "url-token"),
        (f"https://hooks.example.com/hooks/{HEX}abcdefghi1", None),
        (f"https://a.org/x?token={TOKEN}", "url-token"),
        (f"https://a.org/x?a=b&api_key={TOKEN}", "url-token"),
        (f"https://a.example/x?token={TOKEN}", None),
        ("https://a.org/x?token=abcdefghijklmnop", None),
        ("https://a.org/x?token=aaaaaaaaa1bcdefg", None),
        (f"https://a.org/x?id={TOKEN}", None),
        (PW, None),
    ],
)  # fmt: skip
def test_a_text_has_credentials_in_known_forms(text: str, expected: str | None) -> None:
    said = {
        URL: "a URL with a password",
        HEADER: "an authorization header with its credential",
        "password-hash": "a password hash",
        "url-token": "a URL with a token" if "?" in text else "a URL that lets anybody post there",
    }
    for before, line in (("", 1), ("a\n\n", 3)):
        found = [
            (hit.line, hit.rule, hit.message) for hit in passwords.in_text(f"{before}{text}\n")
        ]
        assert found == ([(line, expected, said[expected])] if expected else [])


def test_a_hash_is_named_once_in_its_line_unless_it_is_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = BCRYPT[:-1] + "."
    text = f"ada:{BCRYPT}\nx\nbob:{other}\n"
    assert [hit.line for hit in passwords.in_text(text)] == [1, 3]
    monkeypatch.setattr(published, "holds", lambda line: line.startswith("ada"))
    assert [hit.line for hit in passwords.in_text(text)] == [3]


@pytest.mark.parametrize(
    ("none", "some"),
    [
        ("https://a:pass@b.org", f"https://a:{PW}@b.org"),
        ("Authorization: Bearer changemenow1", f"Authorization: Bearer {TOKEN}"),
        ("https://hc-ping.com/1111111111", f"https://hc-ping.com/{HEX}"),
        ("https://a.org/?token=" + "a" * 16, f"https://a.org/?token={TOKEN}"),
    ],
)
def test_every_credential_of_a_text_is_named(none: str, some: str) -> None:
    text = f"{none}\n{some}\n{none}\n{some}\n"
    assert [hit.line for hit in passwords.in_text(text)] == [2, 4]
