"""What a teammate's slip makes of a file of the exercise. Pure."""

from __future__ import annotations

import re

_RULE, _SLIP = b"(data|stringData)", b"(dta|stringData)"
_VALUE = b"ENC[AES256_GCM,data:"


def unlisted(kustomization: bytes, name: str) -> bytes:
    """Return a kustomization in which the line that lists a file is a comment."""
    entry = rb"(?m)^( *)- *(?:\./)?" + re.escape(name).encode() + rb" *$"
    return re.sub(entry, rb"\1# - " + name.encode(), kustomization)


def edited(manifest: bytes) -> bytes:
    """Return an encrypted manifest in which the first letter of the first value is changed."""
    before, value, after = manifest.partition(_VALUE)
    if not value:
        return manifest
    return before + value + (b"B" if after.startswith(b"A") else b"A") + after[1:]


def with_slip(rules: bytes) -> bytes:
    """Return creation rules that leave what is below `data` in plain text."""
    return rules.replace(_RULE, _SLIP)


def without_last_letter(identity: bytes) -> bytes:
    """Return the file of an age identity that is one letter short."""
    return re.sub(rb"(?m)^(AGE-SECRET-KEY-.*).$", rb"\1", identity)
