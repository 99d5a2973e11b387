"""Recognise, by form and not by name, the ciphertext of tools other than sops.

Such ciphertext is made to be committed.

Sources: OpenPGP (RFC 9580: Renovate, blackbox), hiera-eyaml, Ansible Vault, EJSON, Vault's transit
engine, Pulumi, Spring Cloud Config, dotenvx, Jenkins, AWS KMS, JWE (RFC 7516), Rails credentials,
Travis CI and AppVeyor. Where a form has known sizes or a known first byte, these are checked, too:
a prefix alone does not make ciphertext.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Set

_B64 = r"[A-Za-z0-9+/]"
_FORMS = re.compile(
    rf"ENC\[(?:PKCS7|GPG|KMS|GKMS),\s*(?P<eyaml>{_B64}[A-Za-z0-9+/=\s]{{60,}})\]"
    rf"|EJ\[1:{_B64}{{43}}=:{_B64}{{32}}:(?P<ejson>{_B64}{{22,}}={{0,2}})\]"
    rf"|vault:v\d{{1,4}}:(?P<transit>{_B64}{{38,}}={{0,2}})"
    rf"|v1:{_B64}{{16}}:(?P<pulumi>{_B64}{{22,}}={{0,2}})"
    rf"|k8s:enc:\w+:v\d:.{{20,}}"
    rf"|\{{cipher\}}(?:[0-9a-fA-F]{{64,}}|(?P<spring>{_B64}{{64,}}={{0,2}}))"
    rf"|encrypted:(?P<dotenvx>B{_B64}{{120,}}={{0,2}})"
    rf"|\{{AQAAABAAAA{_B64}{{30,}}={{0,2}}\}}"
    r"|\$ANSIBLE_VAULT;1\.[12];AES256(?:;[\w.-]+)?\s+[0-9a-f\s]{64,}"
    rf"|{_B64}{{20,}}={{0,2}}--{_B64}{{16}}--{_B64}{{22}}=="
    r"|(?P<jwe>eyJ[\w-]+)\.[\w-]*\.[\w-]{16}\.[\w-]{4,}\.[\w-]{22}"
)
_PGP_START = ("wcBMA", "wcFMA", "wcDMA", "wV4D", "hQEMA", "hQIMA", "hQGMA", "hF4D")
_KMS_START = "AQICAH"
_RSA_BYTES = (128, 256, 384, 512)
_CANDIDATE = re.compile(
    r"(?<![A-Za-z0-9+/])(?:(?:wc[BFD]MA|wV4D|hQ[EIG]MA|hF4D|AQICAH)[A-Za-z0-9+/]{100,}={0,2})"
    r"|ENC\[(?:PKCS7|GPG|KMS|GKMS),[^\]\n]{60,}\]|EJ\[1:[^\]\s]{90,}\]"
)
_WORD = re.compile(r"[^\s\"']{40,}")


def is_foreign(value: str) -> bool:
    """True if *value* is what one of these tools writes for an encrypted value."""
    text = value.strip()
    if len(text) < 40:
        return False
    compact = re.sub(r"\s+", "", text)
    if compact.startswith(_PGP_START) or compact.startswith(_KMS_START):
        return _is_message(compact)
    match = _FORMS.fullmatch(text)
    if match is None:
        return False
    parts = match.groupdict()
    if parts["jwe"]:
        header = _decoded(parts["jwe"].replace("-", "+").replace("_", "/"))
        return b'"enc"' in header and b'"alg"' in header
    coded = next((part for part in parts.values() if part), "")
    return not coded or _is_random(_decoded(re.sub(r"\s+", "", coded)))


def is_secure(key: str, value: str) -> bool:
    """True for a value under `secure` with the size of RSA (Travis CI) or AES (AppVeyor)."""
    if key.lower() != "secure":
        return False
    data = _decoded(re.sub(r"\s+", "", value))
    return _is_random(data) and (len(data) in _RSA_BYTES or (len(data) > 15 and not len(data) % 16))


def without(text: str, known: Set[str] = frozenset()) -> str:
    """Return *text* without such ciphertext, which a scanner would take for tokens.

    + known: values that are ciphertext because of their place in the file
    """
    text = _CANDIDATE.sub(lambda found: "ENC" if is_foreign(found[0]) else found[0], text)
    if not known:
        return text
    return _WORD.sub(lambda found: "ENC" if found[0].rstrip(",}]") in known else found[0], text)


def _is_message(text: str) -> bool:
    """True for an OpenPGP message that starts with a wrapped key, or a blob of AWS KMS."""
    data = _decoded(text)
    if not _is_random(data[24:]):
        return False
    if text.startswith(_KMS_START):
        return len(data) > 100 and data[:3] == b"\x01\x02\x02"
    # A packet with tag 1, in the new format or the old one; after its length comes version 3.
    head = {0xC1: (2, 3), 0x84: (2,), 0x85: (3,)}.get(data[0] if data else 0, ())
    return len(data) > 80 and any(data[at] == 3 for at in head)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_random(data: bytes) -> bool:
    """True for 16 bytes or more of which less than 70 % are printable: text has far more."""
    printable = sum(32 <= byte < 127 for byte in data)
    return len(data) >= 16 and printable < 0.7 * len(data)
