"""Take secrets out of text: those that are known, in every form they travel in, and what looks like
one.

Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from sopslab.policy import keys

# A shorter value is a part of many words: it is taken out only where it stands alone.
_ALONE = 8
# A shorter value stays: whoever knows that three characters were taken out knows hardly less.
_SHORTEST = 4

# What is secret whoever it belongs to: keys of age, bearer tokens, and logins in an address.
_PATTERNS = (
    re.compile(rb"AGE-SECRET-KEY-[A-Z0-9-]+", re.IGNORECASE),
    re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"),
    re.compile(rb"(?<=://)[^\s/@\"'<>]*:[^\s/@\"'<>]*(?=@)"),
    re.compile(rb"(?i)(?<=authorization: )\S+ \S+"),
    # What the API server, and readers of YAML and JSON, quote of what they refuse.
    re.compile(
        rb"(?<=(?:Invalid|plicate) value: )(?:(\\*)\".*?(?<!\\)\1\"|[^\"\\\n]*?(?=: |$))", re.M
    ),
    re.compile(rb"(?<=cannot unmarshal )!!\w+ `[^`\n]*`"),
    re.compile(rb"(?<=byte of \.\.\.\|).*"),
    re.compile(rb"-{5}BEGIN [A-Z0-9 ]*PRIVATE KEY-{5}.*?(?:-{5}END [A-Z0-9 ]*-{5}|\Z)", re.DOTALL),
)


@dataclass(frozen=True)
class Secret:
    """A value that nobody else may see, and what it is, in words."""

    what: str
    value: bytes


@dataclass(frozen=True)
class Redacted:
    """What is left of a text, and how many places of it were taken out."""

    text: bytes
    places: int


class Redactor:
    """Takes secrets out of texts."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        forms: dict[bytes, str] = {}
        self._alone: list[tuple[re.Pattern[bytes], bytes]] = []
        for secret in secrets:
            if len(secret.value) < _SHORTEST:
                continue
            if len(secret.value) < _ALONE:
                pattern = re.compile(rb"(?<![\w])" + re.escape(secret.value) + rb"(?![\w])")
                self._alone.append((pattern, _mark(secret.what)))
            else:
                forms.update(dict.fromkeys(_written(secret.value), secret.what))
            forms.update(dict.fromkeys(_coded(secret.value), secret.what))
        # The longest first: a part of it may be a secret of its own.
        self._forms = sorted(forms.items(), key=lambda form: len(form[0]), reverse=True)

    def redact(self, text: bytes) -> Redacted:
        """Return a text without any secret that is known, or looks like one."""
        places = 0
        for form, what in self._forms:
            found = text.count(form)
            if found:
                places += found
                text = text.replace(form, _mark(what))
        for pattern, mark in self._alone:
            text, found = pattern.subn(mark, text)
            places += found
        for pattern in _PATTERNS:
            text, found = pattern.subn(_mark("a credential"), text)
            places += found
        return Redacted(text, places)


def holds_key_material(text: bytes) -> bool:
    """Return whether the policy still finds key material of any kind in a text."""
    return bool(keys.scan(text))


def _mark(what: str) -> bytes:
    return f"[redacted: {what}]".encode()


def _written(value: bytes) -> Iterator[bytes]:
    """Yield the forms in which a value is written down: as it is, in JSON, in an address."""
    yield value
    yield json.dumps(value.decode("utf-8", "replace"))[1:-1].encode()
    yield quote(value, safe="").encode()


def _coded(value: bytes) -> Iterator[bytes]:
    """Yield the forms of a value in base64, wherever it begins there, if they are long enough to be
    told apart."""
    for form in keys.alignments(value):
        if len(form) >= _ALONE:
            yield form
            yield form.translate(bytes.maketrans(b"+/", b"-_"))
