"""A secret is removed from a text in every form in which it travels, and nothing else is
removed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopslab.lab.support import redaction
from sopslab.lab.support.redaction import (
    Redacted,
    Redactor,
    Secret,
    TooMuch,
    holds_key_material,
)

VALUE = 'p/ss+"w0rd" of Zoë'.encode()
FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "in JSON": lambda value: json.dumps(value.decode()).encode(),
    "in an address": lambda value: quote(value, safe="").encode(),
    "in base64": base64.b64encode,
    "in base64 for addresses": base64.urlsafe_b64encode,
    "in base64 with something in front": lambda value: base64.b64encode(b"x" + value),
    "in base64 within base64": lambda value: base64.b64encode(base64.b64encode(value)),
}


def redact(text: bytes, *values: bytes) -> bytes:
    return Redactor([Secret("it", value) for value in values]).redact(text).text


@pytest.mark.parametrize("form", list(FORMS)[:-1])
def test_a_secret_is_taken_out_in_whatever_form(form: str) -> None:
    text = b"before " + FORMS[form](VALUE) + b" after"
    left = redact(text, VALUE)
    assert b"[redacted: it]" in left
    assert left.startswith(b"before ") and left.endswith(b" after")
    # At the ends of base64, less than three bytes of the value are left.
    assert len(left) <= len(b"before [redacted: it] after") + 8


@given(st.binary(min_size=8, max_size=64), st.binary(max_size=40), st.binary(max_size=40))
@example(b"aaaaaaaa", b"aaaa", b"aaaa")
def test_no_secret_of_eight_bytes_is_left(value: bytes, before: bytes, after: bytes) -> None:
    left = redact(before + value + after, value)
    assert value not in left or value in b"[redacted: it]"


def test_the_longer_of_two_secrets_is_taken_out_as_a_whole() -> None:
    assert (
        redact(b"x secret-and-more y", b"secret-and", b"secret-and-more") == b"x [redacted: it] y"
    )


def test_a_short_secret_is_taken_out_where_it_stands_alone() -> None:
    assert redact(b"user: demo, demonstration", b"demo") == b"user: [redacted: it], demonstration"


def test_a_secret_is_not_in_what_shows_it() -> None:
    assert "hunter22" not in repr(Secret("a password", b"hunter22"))


def test_nothing_is_known_by_three_characters() -> None:
    assert redact(b"yes and no, yes", b"yes") == b"yes and no, yes"


@pytest.mark.parametrize(
    "text",
    [
        b"key: AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQ",
        b"key: age-secret-key-pq-1qqqqqqqqqqqqqqqqqqqqq",
        b"https://ada:opensesame@git.example.org/x",
        b"Authorization: Basic YWRhOm9wZW5zZXNhbWU=",
        b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2lnbmF0dXJl",
        b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIA\n-----END EC PRIVATE KEY-----",
        b"-----BEGIN PRIVATE KEY-----\nMHcCAQEEIA",
    ],
)
def test_what_looks_like_a_credential_is_taken_out_unknown(text: bytes) -> None:
    left = redact(text)
    assert b"[redacted: a credential]" in left
    for part in (b"QQQQ", b"qqqq", b"opensesame", b"YWRh", b"eyJ", b"MHcC"):
        assert part not in left


@pytest.mark.parametrize(
    "text",
    [
        b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
        b"http://127.0.0.1:8418/learner/lab.git",
        b"2026-01-01T10:00:00Z main@sha1:4f1c2a8e Applied revision",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_public_stays(text: bytes) -> None:
    assert redact(text, VALUE) == text


def test_places_are_counted() -> None:
    redacted = Redactor([Secret("it", b"opensesame")]).redact(b"opensesame, opensesame")
    assert redacted.places == 2


def test_what_the_policy_calls_a_key_is_noticed_in_the_end() -> None:
    key = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    assert holds_key_material(base64.b64encode(key + b"\n"))
    assert not holds_key_material(b"[redacted: it]")


@pytest.mark.parametrize(
    "line",
    [
        'data: Invalid value: "MARK": must be base64',
        r'{"error":"data: Invalid value: \"MARK\": must be base64"}',
        r'Invalid value: "a\"MARK": too odd',
        "spec: Invalid value: MARK: is not a number",
        "yaml: unmarshal errors: cannot unmarshal !!str `MARK` into map",
        'error found in #10 byte of ...|MARK"}|..., bigger context ...|{"a":"MARK"}|...',
    ],
)
def test_what_a_reader_quotes_of_what_it_refuses_is_taken_out(line: str) -> None:
    assert b"MARK" not in Redactor([]).redact(line.encode()).text


def test_what_is_put_in_the_place_of_a_secret_is_not_searched_for_others() -> None:
    secrets = [
        Secret("value-of-the-second", b"value-of-the-first"),
        Secret("value-of-the-third", b"value-of-the-second"),
        Secret("redacted", b"value-of-the-third"),
        Secret("word", b"redacted"),
        Secret("short", b"word"),
    ]
    text = b"value-of-the-first, value-of-the-third, word"
    assert Redactor(secrets).redact(text) == Redacted(
        b"[redacted: value-of-the-second], [redacted: redacted], [redacted: short]", 3
    )


def test_of_secrets_that_overlap_nothing_is_left() -> None:
    assert redact(b"(opensesame-street)", b"opensesame", b"sesame-street") == b"([redacted: it])"


def test_a_text_in_which_too_much_begins_as_a_secret_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redactor = Redactor([Secret("it", b"a" * 8 + b"b" * more) for more in range(1, 100)])
    assert redactor.redact(b"a" * 1000).places == 0
    monkeypatch.setattr(redaction, "_MOST", 10_000)
    with pytest.raises(TooMuch):
        redactor.redact(b"a" * 1000)


def test_what_is_compared_with_long_secrets_counts_by_its_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redactor = Redactor([Secret("it", b"a" * 8 + b"b" * more) for more in (1000, 3000)])
    # Each of the two places is compared with both values.
    monkeypatch.setattr(redaction, "_MOST", 2 * (1008 + 3008))
    assert redactor.redact(b"a" * 9).places == 0
    with pytest.raises(TooMuch):
        redactor.redact(b"a" * 10)
