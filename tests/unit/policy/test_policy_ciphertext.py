"""Ciphertext of other tools is recognised by its form. Text in that form, and other forms, are
not."""

from __future__ import annotations

import base64
import json

import pytest

from sopslab.policy.ciphertext import is_foreign, is_secure, without
from tests.unit.policy.policy_material import b64, noise

TEXT = b"the quick brown fox jumps over the lazy dog, and then once more "


def prose(size: int) -> bytes:
    return (TEXT * 9)[:size]


def urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwe(**header: str) -> str:
    head = json.dumps(header, separators=(",", ":")).encode()
    return ".".join((urlsafe(head), "", urlsafe(noise(12)), urlsafe(noise(9)), urlsafe(noise(16))))


def pgp(start: bytes, version: int = 3, size: int = 200) -> str:
    return b64(start + bytes([version]) + noise(size - len(start) - 1))


def kms(size: int, start: bytes = b"\1\2\2\0\x78") -> str:
    return b64(start + noise(size - len(start)))


# Functions of the bytes inside: noise makes ciphertext, and prose does not.
CODED = {
    "eyaml": lambda make: f"ENC[PKCS7,{b64(make(300))}]",
    "eyaml-folded": lambda make: f"ENC[PKCS7,\n  {b64(make(150))}\n  {b64(make(150))}]",
    "ejson": lambda make: f"EJ[1:{b64(noise(32))}:{b64(noise(24))}:{b64(make(40))}]",
    "transit": lambda make: f"vault:v1:{b64(make(40))}",
    "pulumi": lambda make: f"v1:{b64(noise(12))}:{b64(make(40))}",
    "spring": lambda make: f"{{cipher}}{b64(make(96))}",
    "dotenvx": lambda make: f"encrypted:{b64(bytes([4]) + make(119))}",
}
WHOLE = {
    "kubernetes-at-its-least": "k8s:enc:aescbc:v1:" + "x" * 22,
    "kubernetes": "k8s:enc:aescbc:v1:" + "x" * 24,
    "spring-hex": "{cipher}" + "0123456789abcdef" * 4,
    "jenkins": "{AQAAABAAAA" + b64(noise(30)) + "}",
    "ansible": "$ANSIBLE_VAULT;1.1;AES256\n" + "6162" * 20,
    "ansible-named": "$ANSIBLE_VAULT;1.2;AES256;dev\n" + "6162" * 20,
    "rails": f"{b64(noise(60))}--{b64(noise(12))}--{b64(noise(16))}",
    "jwe": jwe(alg="dir", enc="A256GCM"),
    "jwe-of-other-letters": jwe(alg="dir", enc="A256GCM", kid=">>>???>>>???"),
    "pgp-old-format": pgp(b"\x85\x01\x0c"),
    "pgp-old-format-short": pgp(b"\x84\x5e"),
    "pgp-new-format": pgp(b"\xc1\x5e"),
    "pgp-new-format-long": pgp(b"\xc1\xc0\x4c"),
    "pgp-at-its-least": pgp(b"\x85\x01\x0c", size=81),
    "kms": kms(200),
    "kms-at-its-least": kms(101),
}
NEITHER = {
    "empty": "",
    "word": "vault:v1:abc",
    "kubernetes-too-short": "k8s:enc:aescbc:v1:" + "x" * 21,
    "jwe-without-enc": jwe(alg="dir", kid="x" * 30),
    "jwt": jwe(enc="A256GCM", kid="x" * 30),
    "pgp-of-version-four": pgp(b"\x85\x01\x0c", version=4),
    "pgp-too-short": pgp(b"\x85\x01\x0c", size=80),
    "pgp-of-prose": b64(b"\x85\x01\x0c\x03" + prose(200)),
    "kms-too-short": kms(100),
    "kms-of-prose": b64(b"\1\2\2\0\x78" + prose(200)),
    "between-words": f"see vault:v1:{b64(noise(40))} there",
}


@pytest.mark.parametrize("form", CODED)
def test_a_form_with_noise_in_it_is_ciphertext_and_with_prose_it_is_none(form: str) -> None:
    assert is_foreign(CODED[form](noise))
    assert is_foreign(f"  {CODED[form](noise)}\n")
    assert not is_foreign(CODED[form](prose))


@pytest.mark.parametrize("form", WHOLE)
def test_a_whole_form_is_ciphertext(form: str) -> None:
    assert is_foreign(WHOLE[form])


@pytest.mark.parametrize("form", NEITHER)
def test_what_only_looks_like_it_is_none(form: str) -> None:
    assert not is_foreign(NEITHER[form])


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("secure", noise(128), True),
        ("Secure", noise(256), True),
        ("secure", noise(384), True),
        ("secure", noise(512), True),
        ("secure", noise(16), True),
        ("secure", noise(48), True),
        ("secure", noise(100), False),
        ("secure", noise(8), False),
        ("secure", prose(128), False),
        ("password", noise(128), False),
    ],
)
def test_a_value_under_secure_has_the_size_of_a_cipher(
    key: str, data: bytes, expected: bool
) -> None:
    assert is_secure(key, b64(data)) is expected


def test_a_value_under_secure_may_be_folded() -> None:
    text = b64(noise(128))
    assert is_secure("secure", f"{text[:60]}\n  {text[60:]}")


@pytest.mark.parametrize(
    ("byte", "expected"), [(b" ", False), (b"~", False), (b"\x7f", True), (b"\x1f", True)]
)
def test_what_is_printed_is_from_the_blank_to_the_tilde(byte: bytes, expected: bool) -> None:
    assert is_foreign(f"vault:v1:{b64(byte * 30 + bytes([200]) * 10)}") is expected


def test_ciphertext_is_taken_out_of_a_text_and_nothing_else() -> None:
    found = CODED["eyaml"](noise)
    assert without(f"a: {found}\nb: {CODED['eyaml'](prose)}\n").startswith("a: ENC\nb: ENC[PKCS7,")
    assert without(f"a: {pgp(bytes([0x85, 1, 12]))} b\n") == "a: ENC b\n"


def test_what_is_known_to_be_ciphertext_is_taken_out_as_a_word() -> None:
    value = b64(noise(60))
    text = f"a: [{value}]\nb: '{value}'\nc: x{value}\n"
    assert without(text, {value}) == f"a: [{value}]\nb: 'ENC'\nc: x{value}\n"
    assert without(f"a: {{b: {value}}}\n", {value}) == "a: {b: ENC\n"
    assert without(text) == text


def test_seven_of_ten_bytes_that_can_be_printed_are_text() -> None:
    assert not is_secure("secure", b64(b"a" * 112 + b"\0" * 48))
    assert is_secure("secure", b64(b"a" * 111 + b"\0" * 49))


def test_what_is_no_base64_all_through_is_no_ciphertext() -> None:
    assert is_secure("secure", b64(noise(256)))
    assert not is_secure("secure", f"!{b64(noise(256))}")


def test_a_known_value_is_taken_out_with_the_brackets_behind_it() -> None:
    known = "a" * 45 + "X"
    assert without(f"[{{a: {known}}}]", {known}) == "[{a: ENC"
