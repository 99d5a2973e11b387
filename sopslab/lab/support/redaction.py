"""Take secrets out of text: those that are known, in every form they travel in, and what looks like
one.

Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote

from sopslab.policy import keys

# A shorter value is a part of many words: it is taken out only where it stands alone.
_ALONE = 8
# A shorter value stays: whoever knows that three characters were taken out knows hardly less.
_SHORTEST = 4
# Bytes that are compared for one text: a few seconds. Only who has many values with one beginning
# needs more.
_MOST = 1 << 30
_BEFORE_A_WORD = re.compile(rb"(?<!\w)(?=.)", re.DOTALL)
_WORD = re.compile(rb"\w")

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
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class Redacted:
    """What is left of a text, and how many places of it were taken out."""

    text: bytes
    places: int


class TooMuch(Exception):
    """More of a text begins as a secret does than can be looked at."""


class _Span(NamedTuple):
    """A place of a text that is taken out, and what is there, in words."""

    start: int
    end: int
    what: str


class Redactor:
    """Takes secrets out of texts, all at once: what is put in their places is never looked at
    again, since a learner chooses the names in it."""

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._forms: dict[bytes, str] = {}
        self._alone: dict[bytes, str] = {}
        for secret in secrets:
            if len(secret.value) < _SHORTEST:
                continue
            if len(secret.value) < _ALONE:
                self._alone[secret.value] = secret.what
            else:
                self._forms.update(dict.fromkeys(_written(secret.value), secret.what))
            self._forms.update(dict.fromkeys(_coded(secret.value), secret.what))
        # How long the forms are that begin with the same bytes.
        self._lengths: dict[bytes, set[int]] = {}
        for form in self._forms:
            self._lengths.setdefault(form[:_ALONE], set()).add(len(form))
        # How many bytes are compared where one of these begins.
        self._costs = {begin: sum(lengths) for begin, lengths in self._lengths.items()}
        self._alone_lengths = sorted({len(value) for value in self._alone})

    def redact(self, text: bytes) -> Redacted:
        """Return a text without any secret that is known, or looks like one. Raises TooMuch."""
        spans = [*self._known(text), *self._standing_alone(text), *_unknown(text)]
        left: list[bytes] = []
        places = done = 0
        # Of those that begin together, the longest first: a part of it may be a secret of its own.
        for start, end, what in sorted(spans, key=lambda span: (span.start, -span.end)):
            if start >= done:
                left += [text[done:start], _mark(what)]
                places += 1
            done = max(done, end)
        return Redacted(b"".join([*left, text[done:]]), places)

    def _known(self, text: bytes) -> Iterator[_Span]:
        compared = 0
        begins = self._lengths
        for at in [at for at in range(len(text)) if text[at : at + _ALONE] in begins]:
            begin = text[at : at + _ALONE]
            compared += self._costs[begin]
            if compared > _MOST:
                raise TooMuch
            for length in begins[begin]:
                what = self._forms.get(text[at : at + length])
                if what is not None:
                    yield _Span(at, at + length, what)

    def _standing_alone(self, text: bytes) -> Iterator[_Span]:
        if not self._alone:
            return
        for found in _BEFORE_A_WORD.finditer(text):
            for length in self._alone_lengths:
                end = found.start() + length
                what = self._alone.get(text[found.start() : end])
                if what is not None and not _WORD.match(text, end):
                    yield _Span(found.start(), end, what)


def _unknown(text: bytes) -> Iterator[_Span]:
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            yield _Span(*found.span(), "a credential")


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
