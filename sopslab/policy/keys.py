"""Private key material of any kind, in any file: text, binary, UTF-16, base64, split over lines.

age identities are BIP 173 bech32 (age, internal/bech32): a run of its alphabet with the right
length is a key; one with hardly any different characters is a filler in documentation.
PEM markers alone are not a key: source code and documentation are full of them, so a body is
needed.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Iterator

from sopslab.policy.findings import Hit
from sopslab.policy.later import later
from sopslab.policy.lines import Lines

_BECH32 = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHAR = b"[" + _BECH32 + _BECH32.upper() + b"]"
_GAP = rb"(?:[\s\"'+,>#|]|\\[nrt]?|\\u000a)*"
_BETWEEN = later(_GAP)
_AGE = later(rb"AGE-SECRET-KEY-(?:PQ-)?1(" + _CHAR + rb"{50,})", re.IGNORECASE)
_AGE_SPLIT = later(
    _GAP.join(re.escape(bytes([c])) for c in b"AGE-SECRET-KEY-")
    + _GAP
    + rb"(?:P"
    + _GAP
    + rb"Q"
    + _GAP
    + rb"-"
    + _GAP
    + rb")?1"
    + rb"(?:"
    + _GAP
    + _CHAR
    + rb"){58}",
    re.IGNORECASE,
)
_AGE_PLUGIN = later(rb"AGE-PLUGIN-[A-Z0-9+._-]{1,64}-1(" + _CHAR + rb"{16,})", re.IGNORECASE)
_PEM = later(
    rb"-{4,5} ?BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?) ?-{4,5}(?=(.{0,4096}))", re.DOTALL
)
_PEM_HEADER = later(rb"(?:Proc-Type|DEK-Info|Version|Comment|Charset|Hash|Subject): [^\n\\]*")
_PEM_BREAK = later(rb"[\s\"',>#|*\\;]+")
_PEM_RUN = later(rb"[A-Za-z0-9+/=]+")
_BARE_OPENSSH = later(rb"b3BlbnNzaC1rZXktdjEA[A-Za-z0-9+/\s]{200}")
_PUTTY = later(rb"PuTTY-User-Key-File-\d+:.{0,8192}?Private-Lines:\s*\d", re.DOTALL)
# PKCS#8 and PKCS#1 (version 0, then an algorithm or a modulus), SEC 1 (version 1, then the key).
_DER = later(
    rb"\x30[\x81\x82]?.{1,2}\x02\x01\x00(?:\x30.\x06|\x02\x82)|\x30.\x02\x01\x01\x04[\x20\x30\x42]",
    re.DOTALL,
)
_STORE_MAGIC = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce", b"\x03\xd9\xa2\x9a")
_PKCS12 = later(rb"\x30\x82..\x02\x01\x03\x30", re.DOTALL)
_SECRING = later(rb"(?:[\x94\x95].{1,2}|\xc5.{1,3})[\x03\x04\x05]", re.DOTALL)
_B64_TOKEN = later(rb"[A-Za-z0-9+/_-]{40,}(?:(?:\r?\n|\\n)[ \t]*[A-Za-z0-9+/_-]{4,})*={0,2}")
_HEX_TOKEN = later(rb"(?:[0-9A-Fa-f]{2}){60,}")
_SEPARATORS = later(rb"\\n|\s")
# In base64: an ASN.1 sequence, OpenSSH's magic, and OpenPGP's secret key packets.
_REAL_BODIES = (
    b"MI",
    b"MC",
    b"MF",
    b"MH",
    b"b3BlbnNzaC1rZXk",
    b"lQ",
    b"lI",
    b"lF",
    b"xV",
    b"xc",
    b"xY",
)
MAX_DECODINGS = 3
_CODED_MARKERS = (
    b"AGE-SECRET-KEY-",
    b"age-secret-key-",
    b"AGE-PLUGIN-",
    b"PRIVATE KEY",
)


def _needles() -> tuple[bytes, ...]:
    """Return what a key's beginning looks like in base64, encoded once or twice."""
    once = {part for marker in _CODED_MARKERS for part in alignments(marker)}
    return tuple(sorted(once | {part for marker in once for part in alignments(marker)}))


def alignments(marker: bytes) -> Iterator[bytes]:
    """Yield the base64 that *marker* always becomes, for each of the three offsets it can have."""
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + marker)
        last = len(coded) - (0, 3, 2)[(shift + len(marker)) % 3]
        yield coded[(0, 2, 3)[shift] : last]


_NEEDLES = _needles()
_HEX_NEEDLE = later(rb"4147452d5345435245542d4b4559|50524956415445204b4559", re.IGNORECASE)
_MARKERS = (b"age-", b"private", b"putty", b"b3blbnnzac1rzxktdjea")


def scan(data: bytes, is_docs: bool = False) -> list[Hit]:
    """Return the key material in *data*; lines are those of *data*, also for decoded content.

    Documentation shows PEM keys with invented bodies: there the body must begin like a real one.
    """
    hits = {hit.rule: hit for hit in reversed(list(_binary(data)))}
    for content in _plain_forms(data):
        for line, rule, message in _search(content, is_docs, 0):
            hits.setdefault(f"{rule}:{line}", Hit(line, rule, message))
    return sorted(hits.values(), key=lambda hit: hit.line)


def _plain_forms(data: bytes) -> Iterator[bytes]:
    yield data
    if b"\0" in data:
        # UTF-16 and UTF-32 text is ASCII with zero bytes between.
        yield data.replace(b"\0", b"")


def _search(data: bytes, is_docs: bool, depth: int) -> Iterator[tuple[int, str, str]]:
    lines = Lines(data)
    lowered = data.lower()
    if any(marker in lowered for marker in _MARKERS):
        yield from _direct(data, is_docs)
    if depth < MAX_DECODINGS:
        for start, decoded in _decoded(data):
            for _, rule, message in _search(decoded, is_docs, depth + 1):
                yield lines.at(start), rule, f"{message}, encoded"
                break


def _direct(data: bytes, is_docs: bool) -> Iterator[tuple[int, str, str]]:
    lines = Lines(data)
    for match in _AGE.finditer(data):
        if _is_varied(match[1]):
            yield lines.at(match.start()), "key-age", "an age identity (private key)"
    for match in _AGE_SPLIT.finditer(data):
        if _is_varied(re.sub(rb"[^A-Za-z0-9]", b"", match[0])[15:]):
            yield lines.at(match.start()), "key-age", "an age identity (private key)"
    for match in _AGE_PLUGIN.finditer(data):
        if _is_varied(match[1]):
            yield lines.at(match.start()), "key-age", "an age plugin identity"
    headers: list[int] = []
    for match in _PEM.finditer(data):
        if _has_body(match[2], is_docs):
            headers.append(match.end())
            kind = match[1].decode("ascii").removesuffix(" BLOCK").lower()
            yield lines.at(match.start()), "key-private", f"a PEM {kind}"
    for match in _BARE_OPENSSH.finditer(data):
        before = bisect_right(headers, match.start())
        if not before or not _BETWEEN.fullmatch(data, headers[before - 1], match.start()):
            yield lines.at(match.start()), "key-private", "an OpenSSH private key"
    for match in _PUTTY.finditer(data):
        yield lines.at(match.start()), "key-private", "a PuTTY private key"


def _is_varied(body: bytes) -> bool:
    return len(set(body.lower())) >= 8


def _has_body(after: bytes, is_docs: bool) -> bool:
    """True if key data follows a PEM header: at least 48 characters of base64, not a filler."""
    body = after.partition(b"-----END")[0].partition(b"---- END")[0]
    body = _PEM_HEADER.sub(b"", body.replace(b"\\r", b"").replace(b"\\n", b"\n"))
    joined = b""
    for token in _PEM_BREAK.split(body):
        if token in (b"", b"+", b"//"):
            continue
        if not _PEM_RUN.fullmatch(token):
            break
        joined += token
        # All lines but the last are long; words of prose are not.
        if len(token) < 16:
            break
    if is_docs and b"ENCRYPTED" not in after[:80] and not joined.startswith(_REAL_BODIES):
        return False
    return len(joined) >= 48 and len(set(joined)) >= 12


def _decoded(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, content) of the base64 and hex runs that hold the beginning of a key."""
    joined = data.translate(None, b" \t\r\n").replace(b"\\n", b"")
    if any(needle in joined for needle in _NEEDLES):
        for match in _B64_TOKEN.finditer(data):
            token = _SEPARATORS.sub(b"", match[0]).rstrip(b"=")
            if any(needle in token for needle in _NEEDLES):
                token = token.replace(b"-", b"+").replace(b"_", b"/")
                # One letter beyond groups of four encodes no byte.
                token = token[: len(token) - (len(token) % 4 == 1)]
                yield match.start(), base64.b64decode(token + b"=" * (-len(token) % 4))
    if _HEX_NEEDLE.search(data):
        for match in _HEX_TOKEN.finditer(data):
            yield match.start(), bytes.fromhex(match[0].decode("ascii"))


def _binary(data: bytes) -> Iterator[Hit]:
    if data.startswith(_STORE_MAGIC) or _PKCS12.match(data):
        yield Hit(1, "key-store", "a key store")
    elif _DER.match(data):
        yield Hit(1, "key-private", "a private key in DER form")


def is_secret_keyring(data: bytes) -> bool:
    """True if *data* starts with an OpenPGP secret key packet (RFC 9580, tag 5)."""
    return _SECRING.match(data) is not None
