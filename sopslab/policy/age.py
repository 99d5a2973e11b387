"""Check the form of age recipients, and of data keys wrapped for them, without a private key.

Sources: the specification of age (C2SP, age.md), FiloSottile/age armor, and the sizes that sops
uses: a data key of 32 bytes, or a share of it, which is one byte longer.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

_ARMOR = re.compile(
    r"-----BEGIN AGE ENCRYPTED FILE-----\n([A-Za-z0-9+/=\n]+)\n-----END AGE ENCRYPTED FILE-----"
)
_VERSION = b"age-encryption.org/v1\n-> "
_HEADER = re.compile(
    re.escape(_VERSION) + rb"(\S+) ([A-Za-z0-9+/]+)\n[A-Za-z0-9+/]{43}\n"
    rb"--- [A-Za-z0-9+/]{43}\n"
)
_CHAR = "[02-9ac-hj-np-z]"
_X25519 = re.compile(rf"age1{_CHAR}{{58}}")
_QUANTUM = re.compile(rf"age1pq1{_CHAR}{{1900,2000}}")
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
"""The characters of bech32, and the polynomial of its checksum (BIP 173)."""
_CHECKSUM = 6
_KEYS = {b"X25519": 32, b"mlkem768x25519": 1216}
"""How many bytes a public key of each kind has."""
_ARGUMENTS = {b"X25519": 43, b"mlkem768x25519": 1494}
"""How many characters of base64 a stanza's argument has: 32 and 1,120 bytes."""
_NONCE, _TAG = 16, 16
_DATA_KEY = 32


def is_native(recipient: str) -> bool:
    """Return whether *recipient* is one of age's own keys, and not a plugin's or an SSH key."""
    return kind_of(recipient) is not None


def kind_of(recipient: str) -> bytes | None:
    """Return the stanza type for one of age's own keys, None for any other recipient."""
    if _X25519.fullmatch(recipient):
        return b"X25519"
    return b"mlkem768x25519" if _QUANTUM.fullmatch(recipient) else None


def is_intact(recipient: str) -> bool:
    """Return whether *recipient* is one of age's own keys, with the right length and checksum.

    A character that was lost or mistyped makes them wrong.
    """
    kind = kind_of(recipient)
    if kind is None:
        return False
    prefix, _, rest = recipient.rpartition("1")
    values = [_ALPHABET.index(character) for character in rest]
    expanded = [*(ord(one) >> 5 for one in prefix), 0, *(ord(one) & 31 for one in prefix)]
    if _polymod([*expanded, *values]) != 1:
        return False
    data = values[:-_CHECKSUM]
    padding = 5 * len(data) - 8 * _KEYS[kind]
    return 0 <= padding < 5 and data[-1] % (1 << padding) == 0


def _polymod(values: Iterable[int]) -> int:
    """Return the remainder by which a bech32 checksum is judged."""
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                remainder ^= generator
    return remainder


def unarmored(text: str) -> bytes | None:
    """Return the decoded content of *text*, None if it is not in age's armor."""
    armor = _ARMOR.fullmatch(text.replace("\r\n", "\n").strip())
    try:
        return base64.b64decode(armor[1].replace("\n", ""), validate=True) if armor else None
    except binascii.Error:
        return None


def wraps_data_key(recipient: str, text: str, *, shared: bool) -> bool:
    """Return whether *text* has the form of a data key that age encrypted for *recipient*.

    + shared: whether the data key is split among several groups of recipients
    """
    data = unarmored(text)
    if data is None:
        return False
    kind = kind_of(recipient)
    if kind is None:
        return data.startswith(_VERSION)
    header = _HEADER.match(data)
    if header is None or header[1] != kind or len(header[2]) != _ARGUMENTS[kind]:
        return False
    return len(data) - header.end() == _NONCE + _DATA_KEY + shared + _TAG
