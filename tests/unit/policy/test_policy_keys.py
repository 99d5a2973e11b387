"""Key material is recognised by its form: what it is, where it begins, and what is no key."""

from __future__ import annotations

import pytest

from sopslab.policy import keys
from tests.unit.policy.policy_material import ALNUM, BECH32, age_identity, b64, noise, pick


def body(size: int, start: str = "MI") -> str:
    return start + pick(ALNUM, size - len(start))


def pem(text: str, kind: str = "PRIVATE KEY", end: bool = True) -> str:
    return f"-----BEGIN {kind}-----\n{text}\n" + (f"-----END {kind}-----\n" if end else "")


def folded(text: str, joint: str = "\n") -> str:
    return joint.join(text[at : at + 64] for at in range(0, len(text), 64))


def found(text: str | bytes, *, is_docs: bool = False) -> list[tuple[int, str, str]]:
    data = text.encode() if isinstance(text, str) else text
    return [(hit.line, hit.rule, hit.message) for hit in keys.scan(data, is_docs)]


def coded(text: str, times: int = 1) -> str:
    for _ in range(times):
        text = b64(text)
    return text


IDENTITY = age_identity()
# Joined at run time. A constant joined by the compiler would put a key into the byte code.
PUTTY = "-".join(("PuTTY", "User", "Key", "File", "2"))
AGE = "an age identity (private key)"
OPENSSH = b64(b"openssh-key-v1\0" + noise(400))
NAMED = {
    "age": (IDENTITY, "key-age", AGE),
    "age-small": (IDENTITY.lower(), "key-age", AGE),
    "age-post-quantum": (IDENTITY.replace("KEY-1", "KEY-PQ-1"), "key-age", AGE),
    "age-in-pieces": ('"AGE-SECRET-" +\n  "' + IDENTITY[11:40] + '" + "' + IDENTITY[40:] + '"',
                      "key-age", AGE),
    "age-small-in-pieces": (f"{IDENTITY[:40]}\n{IDENTITY[40:]}".lower(), "key-age", AGE),
    "age-post-quantum-in-pieces": ("AGE-SECRET-KEY-P\n" + "Q-1" + IDENTITY[16:40] + "\n"
                                   + IDENTITY[40:], "key-age", AGE),
    "plugin": ("AGE-PLUGIN-YUBIKEY-1" + BECH32[:16].upper(), "key-age", "an age plugin identity"),
    "pem": (pem(folded(body(800))), "key-private", "a PEM private key"),
    "pem-rsa": (pem(folded(body(800)), "RSA PRIVATE KEY"), "key-private", "a PEM rsa private key"),
    "pem-at-its-least": (pem(body(48)), "key-private", "a PEM private key"),
    "pem-without-end": (pem(body(48), end=False), "key-private", "a PEM private key"),
    "pgp": (pem(f"Version: 1\nComment: x\n\n{folded(body(800, 'lQ'))}", "PGP PRIVATE KEY BLOCK"),
            "key-private", "a PEM pgp private key"),
    "pem-encrypted": (pem(f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n{folded(body(200, 'x'))}",
                          "RSA PRIVATE KEY"), "key-private", "a PEM rsa private key"),
    "pem-in-json": (pem(folded(body(200), "\\n")).replace("\n", "\\n"),
                    "key-private", "a PEM private key"),
    "pem-in-json-of-windows": (pem(folded(body(200), "\\r\\n")).replace("\n", "\\r\\n"),
                               "key-private", "a PEM private key"),
    "pem-in-one-line": (f"-----BEGIN PRIVATE KEY-----{body(60)}-----END PRIVATE KEY-----",
                        "key-private", "a PEM private key"),
    "age-in-base64-with-a-letter-more": (coded(f"x{IDENTITY}") + "A",
                                         "key-age", f"{AGE}, encoded"),
    "age-in-base64-with-a-letter-and-a-mark-more": (coded(f"x{IDENTITY}") + "A=",
                                                    "key-age", f"{AGE}, encoded"),
    "pem-in-code": (pem('" +\n  "'.join(["", body(64), body(64), ""])),
                    "key-private", "a PEM private key"),
    "pem-in-comments": (pem("// " + folded(body(200), "\n// ")),
                        "key-private", "a PEM private key"),
    "pem-before-what-is-none": (pem(f"{body(64)}\n[and so on]", end=False),
                                "key-private", "a PEM private key"),
    "pem-with-a-short-last-line": (pem(f"{body(64)}\nAQAB"), "key-private", "a PEM private key"),
    "pem-of-the-shortest-lines": (pem("\n".join(body(16) for _ in range(3))),
                                  "key-private", "a PEM private key"),
    "ssh2": (f"---- BEGIN SSH2 PRIVATE KEY ----\n{folded(body(200))}\n---- END x ----",
             "key-private", "a PEM ssh2 private key"),
    "openssh": (folded(OPENSSH), "key-private", "an OpenSSH private key"),
    "putty": (f"{PUTTY}: ssh-rsa\nEncryption: none\nPrivate-Lines: 8\n",
              "key-private", "a PuTTY private key"),
    "age-in-base64": (coded(IDENTITY), "key-age", f"{AGE}, encoded"),
    # The lines end within the letters by which the beginning is recognised.
    "age-in-base64-of-lines": (folded(coded("x" * 42 + IDENTITY), "\r\n  "),
                               "key-age", f"{AGE}, encoded"),
    "age-in-base64-of-tabs": (folded(coded("x" * 42 + IDENTITY), "\n\t"),
                              "key-age", f"{AGE}, encoded"),
    "age-in-base64-of-escapes": (folded(coded("x" * 42 + IDENTITY), "\\n"),
                                 "key-age", f"{AGE}, encoded"),
    "pem-in-base64": (coded(pem(folded(body(200)))), "key-private", "a PEM private key, encoded"),
    "age-in-hex": (IDENTITY.encode().hex(), "key-age", f"{AGE}, encoded"),
    "pem-in-hex": (pem(folded(body(200))).encode().hex(), "key-private",
                   "a PEM private key, encoded"),
}  # fmt: skip
NONE = {
    "text": "The private key stays at home, and age-keygen makes it.\n" * 9,
    "filler": "AGE-SECRET-KEY-1" + "Q" * 58,
    "seven-letters": "AGE-SECRET-KEY-1" + (BECH32[:7].upper() * 9)[:58],
    "short-age": "AGE-SECRET-KEY-1" + IDENTITY[16:65],
    "other-letters": "AGE-SECRET-KEY-1" + "B" * 29 + IDENTITY[16:45],
    "plugin-short": "AGE-PLUGIN-YUBIKEY-1" + BECH32[:15].upper(),
    "plugin-filler": "AGE-PLUGIN-YUBIKEY-1" + "Q" * 40,
    "pem-marker": "-----BEGIN PRIVATE KEY-----\n",
    "pem-short": pem(body(47)),
    "pem-of-few-letters": pem("MIabcdefghi" * 9),
    "pem-of-prose": pem("this is where the key would be if there were one in this example here"),
    "pem-of-short-lines": pem("\n".join(body(15) for _ in range(9))),
    "pem-of-words": pem("your-key " * 20),
    "pem-after-its-end": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n" + body(200),
    "ssh2-after-its-end": "---- BEGIN SSH2 PRIVATE KEY ----\n---- END x ----\n" + body(200),
    "public": pem(folded(body(200)), "PUBLIC KEY"),
    "openssh-short": OPENSSH[:200],
    "putty-public": f"{PUTTY}: ssh-rsa\nPublic-Lines: 8\n",
    "encoded-too-often": coded(IDENTITY, 4),
    "hex-of-nothing": "41" * 80,
    "pem-of-dots": pem("...", end=False),
    "pem-of-a-mark": pem("<your key>", "RSA PRIVATE KEY", end=False),
    "age-of-dots": "AGE-SECRET-KEY-1...",
    "plugin-named": "the AGE-PLUGIN-YUBIKEY-1 prefix",
    "name-like-age": "age-secret-key-handling-in-tests",
}


@pytest.mark.parametrize("name", NAMED)
def test_a_key_is_named_in_the_line_where_it_begins(name: str) -> None:
    text, rule, message = NAMED[name]
    assert found(text) == [(1, rule, message)]
    assert found(f"first\n\n{text}\nlast") == [(3, rule, message)]


@pytest.mark.parametrize("name", NONE)
def test_what_only_looks_like_a_key_is_none(name: str) -> None:
    assert found(NONE[name]) == []


@pytest.mark.parametrize("name", NAMED)
def test_a_key_that_is_real_is_named_in_documentation_as_well(name: str) -> None:
    text, rule, message = NAMED[name]
    assert found(text, is_docs=True) == [(1, rule, message)]


@pytest.mark.parametrize("last", BECH32.upper())
def test_what_is_encoded_is_decoded_to_its_last_letter(last: str) -> None:
    """The shortest identity that counts: with one letter less, it is none."""
    text = IDENTITY[:65] + last
    assert found(coded(text))
    assert not found(coded(text[:-1]))


@pytest.mark.parametrize("prefix", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_encoded_is_found_at_any_offset(prefix: str, times: int) -> None:
    hits = found(f"x: {coded(prefix + IDENTITY, times)}")
    assert [rule for _, rule, _ in hits] == ["key-age"]


def test_a_key_is_found_within_what_is_binary() -> None:
    assert found(b"\x7fELF\0\0\1" + IDENTITY.encode() + b"\0\1\2\xff") == [(1, "key-age", AGE)]


def test_a_key_is_found_beside_whatever_only_begins_like_one() -> None:
    begun = " , ".join(needle.decode() for needle in keys._NEEDLES)
    assert found(f"{begun}\n{coded(IDENTITY)}") == [(2, "key-age", f"{AGE}, encoded")]


def test_eight_different_letters_make_a_key() -> None:
    assert found("AGE-SECRET-KEY-1" + (BECH32[:8].upper() * 9)[:58])
    assert found("AGE-SECRET-KEY-P\nQ-1" + (BECH32[7] + BECH32[:7] * 9)[:58].upper())
    assert found(pem("MIabcdefghij" * 9))


def test_several_keys_are_named_each_and_in_their_order() -> None:
    other = age_identity()
    text = f"{pem(body(60))}{IDENTITY}\n{other}\n"
    private = (1, "key-private", "a PEM private key")
    assert found(text) == [private, (4, "key-age", AGE), (5, "key-age", AGE)]


def test_every_kind_of_key_is_named_beside_all_others() -> None:
    text = "".join(f"{text}\n" for text, _, _ in NAMED.values())
    kinds = {(rule, message) for _, rule, message in found(text)}
    assert kinds == {(rule, message) for _, rule, message in NAMED.values()}


@pytest.mark.parametrize(
    ("text", "letter"), [(f"xx?{IDENTITY}", "_"), ("x" + pem(f"> {body(60)}"), "-")]
)
def test_a_key_is_found_in_base64_of_either_alphabet(text: str, letter: str) -> None:
    other = coded(text).translate(str.maketrans("+/", "-_"))
    assert letter in other
    assert found(other) == found(coded(text)) != []


def test_several_encoded_keys_are_named_each() -> None:
    text = f"{coded(IDENTITY)}\n\n{coded(pem(body(60)))}\n"
    assert [line for line, _, _ in found(text)] == [1, 3]


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-be", "utf-32"])
def test_a_key_is_found_in_text_of_wider_letters(coding: str) -> None:
    for text in (IDENTITY, pem(folded(body(200))), folded(OPENSSH)):
        assert [hit[1:] for hit in found(text.encode(coding))] == [hit[1:] for hit in found(text)]


def test_what_is_not_called_documentation_is_none() -> None:
    assert keys.scan(pem(body(60, "AB")).encode())


@pytest.mark.parametrize("start", ["MI", "MC", "MF", "MH", "b3BlbnNzaC1rZXk"])
def test_in_documentation_a_body_begins_like_a_real_one(start: str) -> None:
    assert found(pem(body(60, start)), is_docs=True)


def test_in_documentation_an_invented_body_is_none_unless_it_is_encrypted() -> None:
    assert found(pem(body(60, "AB")))
    assert found(pem(body(60, "AB")), is_docs=True) == []
    assert found(pem("Proc-Type: 4,ENCRYPTED\n\n" + body(60, "AB")), is_docs=True)


def test_in_documentation_an_encoded_key_is_looked_at_as_one_that_is_not() -> None:
    assert found(coded(pem(body(60, "MI"))), is_docs=True)
    assert found(coded(pem(body(60, "AB")))) != []
    assert found(coded(pem(body(60, "AB"))), is_docs=True) == []


@pytest.mark.parametrize(("before", "expected"), [(61, True), (62, False)])
def test_in_documentation_a_body_is_encrypted_if_that_is_said_where_it_begins(
    before: int, expected: bool
) -> None:
    text = pem(f"Comment: {'x' * before}ENCRYPTED\n\n{body(60, 'AB')}")
    assert bool(found(text, is_docs=True)) is expected


@pytest.mark.parametrize("times", [keys.MAX_DECODINGS, keys.MAX_DECODINGS + 1])
def test_a_key_in_what_is_encoded_in_something_encoded_is_found_so_far(times: int) -> None:
    text = IDENTITY
    for _ in range(times):
        text = coded(f"its private key, the PRIVATE KEY of a lab: {text}")
    assert bool(found(text)) is (times == keys.MAX_DECODINGS)


def test_a_key_that_is_one_line_ends_where_it_says() -> None:
    text = ""
    for left, right in (("-----", "-----"), ("---- ", " ----")):
        for _ in range(2):
            begin, end = (f"{left}{word} PRIVATE KEY{right}" for word in ("BEGIN", "END"))
            text += f"{begin}{body(60)}{end}\n"
    assert [line for line, _, _ in found(text)] == [1, 2, 3, 4]


def test_an_openssh_key_with_its_header_is_named_once() -> None:
    kind = "OPENSSH PRIVATE KEY"
    named = "a PEM openssh private key"
    for text in (folded(OPENSSH), f'" +\n{" " * 99}"' + folded(OPENSSH), f"\\n\n{OPENSSH}"):
        assert found(pem(text, kind)) == [(1, "key-private", named)]


def test_what_is_left_of_a_header_hides_no_openssh_key() -> None:
    for header in ("PRIVATE KEY-----", "--BEGIN OPENSSH PRIVATE KEY-----"):
        named = [(2, "key-private", "an OpenSSH private key")]
        assert found(f"{header}\n{folded(OPENSSH)}") == named
    whole = pem(folded(OPENSSH), "OPENSSH PRIVATE KEY")
    assert [line for line, _, _ in found(f"{whole}{folded(OPENSSH)}\n{whole}")] == [
        1,
        whole.count("\n") + 1,
        whole.count("\n") + folded(OPENSSH).count("\n") + 2,
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x30\x82\x04\xbd\x02\x01\x00\x30\x0d\x06", ("key-private", "a private key in DER form")),
        (b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82", ("key-private", "a private key in DER form")),
        (b"\x30\x77\x02\x01\x01\x04\x20", ("key-private", "a private key in DER form")),
        (b"\x30\x82\x09\x51\x02\x01\x03\x30", ("key-store", "a key store")),
        (b"\xfe\xed\xfe\xed", ("key-store", "a key store")),
        (b"\xce\xce\xce\xce", ("key-store", "a key store")),
        (b"\x03\xd9\xa2\x9a", ("key-store", "a key store")),
        (b"\x30\x82\x04\xbd\x02\x01\x02\x30\x0d\x06", None),
        (b"\0\xfe\xed\xfe\xed", None),
    ],
)
def test_a_binary_key_is_told_by_its_head(head: bytes, expected: tuple[str, str] | None) -> None:
    assert found(head + b"\xa7" * 40) == ([] if expected is None else [(1, *expected)])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x95\x03\x98\x04", True),
        (b"\x94\x98\x04", True),
        (b"\xc5\x98\x04", True),
        (b"\xc5\xc1\x98\x04", True),
        (b"\x99\x01\x0d\x04", False),
        (b"\x95\x03\x98\x09", False),
        (b"\0\x95\x03\x98\x04", False),
        (b"", False),
    ],
)
def test_a_secret_keyring_begins_with_a_secret_key(head: bytes, expected: bool) -> None:
    assert keys.is_secret_keyring(head + bytes(8)) is expected
