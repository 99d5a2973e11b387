"""Files of the exercise after a slip of a teammate. Pure."""

from __future__ import annotations

import re

_RULE, _SLIP = b"(data|stringData)", b"(dta|stringData)"
_VALUE = b"ENC[AES256_GCM,data:"


def unlisted(kustomization: bytes, name: str) -> bytes:
    """Return a kustomization in which the line that lists a file is commented out."""
    entry = rb"(?m)^( *)- *(?:\./)?" + re.escape(name).encode() + rb" *$"
    return re.sub(entry, rb"\1# - " + name.encode(), kustomization)


def edited(manifest: bytes) -> bytes:
    """Return an encrypted manifest with another first letter in its first value."""
    before, value, after = manifest.partition(_VALUE)
    if not value:
        return manifest
    return before + value + (b"B" if after.startswith(b"A") else b"A") + after[1:]


def with_slip(rules: bytes) -> bytes:
    """Return creation rules with a typing mistake by which the values in `data` stay in plain
    text."""
    return rules.replace(_RULE, _SLIP)


def without_last_letter(identity: bytes) -> bytes:
    """Return the file of an age identity without the identity's last letter."""
    return re.sub(rb"(?m)^(AGE-SECRET-KEY-.*).$", rb"\1", identity)
