"""Which values only stand for a value: templates, references and the usual fillers."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter

# Each is bounded and stops at its own opening: what never closes must not cost quadratic time.
_TEMPLATE = re.compile(
    r"\{\{[^{}]{0,500}\}\}|\$\{[^{}]{0,300}\}|\$\([^()]{0,300}\)|\$\$?[A-Za-z_]\w*|%\([\w.]{1,80}\)s"
    r"|%[A-Z_]{2,80}%|\{%[^%]{0,500}%\}|__[A-Z0-9_]{1,80}__|@[A-Z_]{2,80}@|!Ref\b.*"
    r"|\bENC\[[^\[\]]{0,9000}\]"
)
_REFERENCE = re.compile(
    r"(?:var|local|data|module|env|secrets|vars|os|process|config|settings|self|this|args?|"
    r"ref\+\w+|vault|op|arn|secretsmanager|ssm)(?:\.|:/?/?)\S+|!vault.*|(?:~|\.{1,2})?/[\w./-]+",
    re.IGNORECASE,
)
_ANGLE = re.compile(r"<[^<>]{1,80}>|\[[^\[\]]{1,60}\]|\{[\w .-]{1,60}\}")
_FILLER = re.compile(
    r"(?:x{3,}|\*{3,}|\.{3,}|…|redact|chang[e_-]*(?:me|it|this)|replace|example|placehold|dummy|"
    r"\b(?:your|my|some|the)[-_ ]|insert|todo|fixme|fake|sample|mock|-?here$|to[-_]be|omitted|"
    r"snip|masked|hidden|secretref|not[-_ ]?(?:a|real)|^test[-_]|^none$)",
    re.IGNORECASE,
)
_WORDS = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "user",
        "username",
        "admin",
        "root",
        "key",
        "apikey",
        "api-key",
        "pass",
        "pwd",
        "string",
        "object",
        "boolean",
        "integer",
        "number",
        "null",
        "none",
        "nil",
        "true",
        "false",
        "required",
        "optional",
        "enabled",
        "disabled",
        "default",
        "prompt",
        "generated",
        "random",
        "plain",
        "plaintext",
        "encrypted",
        "basic",
        "bearer",
        "auto",
        "test",
        "testing",
        "foo",
        "bar",
        "baz",
        "foobar",
        "value",
        "values",
        "data",
        "text",
        "never",
        "always",
    }
)


def is_template(value: str) -> bool:
    """True if nothing but templates and the punctuation between them is left of *value*."""
    rest = _TEMPLATE.sub("", value)
    return rest != value and not re.search(r"\w", rest)


def is_sealed(value: str) -> bool:
    """True for what kubeseal writes: an RSA-wrapped key, after its length, and what it encrypts."""
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    length = int.from_bytes(data[:2], "big")
    return length in (256, 384, 512, 1024) and len(data) > 2 + length + 16


def is_placeholder(value: str) -> bool:
    """True if *value* obviously stands for a value that somebody has to fill in."""
    bare = value.strip().strip("\"'`")
    if len(set(bare)) <= 2 or bare.lower() in _WORDS:
        return True
    if _TEMPLATE.search(bare) or _REFERENCE.fullmatch(bare) or _ANGLE.search(bare):
        return True
    return bool(_FILLER.search(bare))


def entropy(value: str) -> float:
    """Return the Shannon entropy of *value* in bits per character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
