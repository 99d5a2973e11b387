"""A placeholder is told apart from a value with which somebody could log in."""

from __future__ import annotations

import base64

import pytest

from sopslab.policy import placeholders
from tests.unit.policy.policy_material import ALNUM, encrypted_value, noise

REAL = "Quince77" + "lantern"


@pytest.mark.parametrize(
    "value",
    [
        "{{ .Values.a }}", "${A}", "$(cat a)", "%(a.b)s", "%NAME%", "__NAME__", "@NAME@",
        "#{a}", "#{ a }#", "<%= a %>", "[[ a ]]", "(( a ))", "<< a >>", "@@a_b@@",
        "%{a}", "%%ab%%", "@{a}", "{$a}", "[% a %]", "#[[ a ]]#", "{% if a %}", "#% a %#",
        "$DB_PASS", "$db_pass2", "$dbPass", "$$A", encrypted_value(),
        "{{ a }}-${B}:$C", "${A}/", "{{ uri }}?sslmode=require", "{{ uri }}?ssl=a&tls=b",
        "{% if a %}{{ b }}{% end %}", "${a${b}}", "$(a $(b $(c $(d))))",
    ],
)  # fmt: skip
def test_nothing_but_a_template_is_one(value: str) -> None:
    assert placeholders.is_template(value)
    assert not placeholders.is_template(f"{value} {REAL}")
    assert not placeholders.is_template(f"x-{value}")


@pytest.mark.parametrize(
    "value",
    [
        "", "plain", "---", "{{}", "$1", "$um77w", "Pl$um77w", "x", "{{ a }}?other=1",
        "?sslmode=require", "$(a $(b $(c $(d $(e)))))",
    ],
)  # fmt: skip
def test_what_is_left_beside_a_template_is_a_value(value: str) -> None:
    assert not placeholders.is_template(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://{{ host }}", True),
        (" postgres://${HOST}:5432/app ", True),
        ("${HOST}:${PORT}/app_db/{{ name }}/", True),
        ("s3:https://{{ host }}/bucket", True),
        ("rclone:{{ remote }}", True),
        ("{{ host }}", True),
        ("https://example.org", False),
        ("https://{{ host }}/" + REAL, False),
        ("https://a:{{ host }}", False),
        (f"{REAL} https://{{{{ host }}}}", False),
        ("", False),
    ],
)
def test_an_address_begins_with_a_template_and_goes_on_in_plain_words(
    value: str, expected: bool
) -> None:
    assert placeholders.is_address(value) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"user": "{{ a }}", "password": "${B}"}', True),
        ('\n{"user": "{{ a }}"}\n', True),
        ('["{{ a }}"]', False),
        ('[{"a": "{{ b }}"}]', True),
        ("user: {{ a }}\npassword: ${B}\n- key: $C\n", True),
        ("A_B=${C}\nD=#{e}\n", True),
        ("user: {{ a }}", False),
        ("user: {{ a }}\n", False),
        (f"user: {{{{ a }}}}\npassword: {REAL}\n", False),
        (f'{{"user": "{REAL}"}}', False),
        ("{{ a }}\n{{ b }}", False),
        ("", False),
    ],
)
def test_a_form_has_several_fields_and_only_templates_in_them(text: str, expected: bool) -> None:
    assert placeholders.is_form(text) is expected


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("PUID", "1000", True),
        ("DB_PORT", "5432", True),
        ("user_id", "1", True),
        ("GID", "12345", True),
        ("GID", "123456", False),
        ("GID", "12a", False),
        ("GID", "", False),
        ("PASSWORD", "1000", False),
        ("PORT_PASSWORD", "1000", False),
        ("REPORT", "1000", False),
    ],
)
def test_a_number_stands_under_a_key_that_says_so(key: str, value: str, expected: bool) -> None:
    assert placeholders.is_numbered(key, value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("op://vault/item/field", True),
        (" op://vault/item/field ", True),
        ("op://vault", False),
        ("op://{{ vault }}/item/${FIELD}", True),
        ("ref+vault://a/b#c", True),
        ("vault://secret/a", True),
        ("vault://a", False),
        ("https://vault/a/b", False),
        (REAL, False),
        (f"{REAL} op://vault/item/field", False),
    ],
)
def test_a_value_in_a_store_has_an_address(value: str, expected: bool) -> None:
    assert placeholders.is_stored(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DB_PASSWORD", True),
        ("API_KEY_2", True),
        ("API_KEY_123", True),
        ("API_KEY_1234", False),
        ("A1_KEY_123", False),
        ("DB_HOST", False),
        ("PASSWORD", False),
        ("db_password", False),
        ("DB_PASSWORD ", False),
    ],
)
def test_a_name_of_a_variable_says_of_itself_that_it_holds_a_secret(
    value: str, expected: bool
) -> None:
    assert placeholders.is_variable_name(value) is expected


def sealed(length: int, more: int) -> str:
    return base64.b64encode(length.to_bytes(2, "big") + noise(length + more)).decode()


@pytest.mark.parametrize("length", [256, 384, 512, 1024])
def test_what_is_sealed_begins_with_the_length_of_its_key(length: int) -> None:
    assert placeholders.is_sealed(sealed(length, 17))
    # The tag of AES-GCM alone has 16 bytes.
    assert not placeholders.is_sealed(sealed(length, 16))
    assert not placeholders.is_sealed(sealed(length + 1, 17))
    assert not placeholders.is_sealed(sealed(length, 17)[1:])
    assert not placeholders.is_sealed(f"{sealed(length, 17)}!")


@pytest.mark.parametrize("value", ["", "AQ", "AQI=", "ä", "a b"])
def test_what_is_too_short_or_no_base64_is_not_sealed(value: str) -> None:
    assert not placeholders.is_sealed(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(f"a: {mark}", True) for mark in ("{{", "{%", "#{", "#%", "#|", "<%", "[[", "((", "@@")],
        ("<< a >>", True),
        ("<<: *a", False),
        ("%%", True),
        ("${{ a }}", True),
        ("${a}", False),
        ("a: {b: [c]}", False),
        ("", False),
    ],
)
def test_a_template_engine_is_known_by_its_marks(text: str, expected: bool) -> None:
    assert placeholders.has_marks(text) is expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("!secret", True), ("!Ref", True), ("!include_dir_named", True), ("!FindInMap", True),
        ("!secretary", False), ("a!secret", False), ("!reset", False),
        ("tag:yaml.org,2002:str", False), ("", False),
    ],
)  # fmt: skip
def test_a_tag_makes_a_name_of_what_follows(tag: str, expected: bool) -> None:
    assert placeholders.is_reference_tag(tag) is expected


@pytest.mark.parametrize(
    "value",
    [
        "{{ a }}", f"{REAL}${{A}}", "$(TOKEN)", "$(TOKEN", '"$(TOKEN"', "DB_PASSWORD",
        "'DB_PASSWORD'", "", "aaaaaaa", "abababab", "********", "password", "PASSWORD",
        '"secret"', "`token`", "root", "var.db_password", "local.a", "/run/secrets/a",
        "~/.ssh/a", "!vault a", "ref+vault://a", "<password>", "[password]", "{password}",
        "{env:A}", f"{REAL}<a>", "$DB_PASS", f"{REAL} $DB_PASS", "!secret", "f(a)", "a.b('c')",
        "@Microsoft.KeyVault(SecretUri=x)", "request.auth.claims[0]", "random_password.a.result",
        "file:a/b", "env:DB_PASS", "&quot;", "$__file{/a/b}", "changeme", "CHANGE_ME", "xxx-yyy-1",
        "...more1", "redacted-1", "your-key-1", "insert1a", "fake-abc1", "put-it-here",
        "to-be-done-1", "not-real-1", "test-abc1", "none", "REDACTED", "***",
    ],
)  # fmt: skip
def test_a_filler_stands_for_a_value(value: str) -> None:
    assert placeholders.is_placeholder(value)
    assert placeholders.is_placeholder(f' "{value}" ')


@pytest.mark.parametrize(
    "value",
    [
        REAL, "abcabc", "abc", "pass1word", "xvar.db_password1", f"/a/{REAL} x", "$um77w",
        f"{REAL}/run/secrets/a", "a$b1c2", "secretary1", "XpasswordX", f"f(a)-{REAL}",
        f"{REAL} env:A", f"!secret {REAL}", f"&quot;{REAL}", "atest-abc1", "a`b1", "a'b\"c",
    ],
)  # fmt: skip
def test_whatever_else_may_be_a_value(value: str) -> None:
    assert not placeholders.is_placeholder(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{REAL}$a", True),
        (f"{REAL}$1", True),
        (f"{REAL}$@", True),
        (f"{REAL}$(", True),
        ("`cat a1b2`", True),
        (" `cat a1b2` ", True),
        (f"{REAL}`a`", False),
        (f"{REAL}$", False),
        (REAL, False),
    ],
)
def test_a_shell_puts_variables_in_wherever_they_stand(value: str, expected: bool) -> None:
    assert placeholders.is_placeholder(value, in_shell=True) is expected
    assert not placeholders.is_placeholder(value)


@pytest.mark.parametrize(
    ("value", "bits"),
    [("", 0), ("aaaa", 0), ("ab", 1), ("aabb", 1), ("abcd", 2), ("aaab", 0.8113), (ALNUM, 5.9542)],
)
def test_entropy_is_that_of_shannon(value: str, bits: float) -> None:
    assert placeholders.entropy(value) == pytest.approx(bits, abs=1e-4)
