"""What sops writes: encrypted values, and its metadata in YAML, JSON, dotenv and INI.

Sources: getsops/sops aes/cipher.go (the form of a value), stores/stores.go (metadata and its
flat form in dotenv and INI), age/keysource.go. sops leaves an empty string and null as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sopslab.policy import documents, regex
from sopslab.policy.documents import Mapping, Node, Sequence
from sopslab.policy.findings import Hit, Undecidable

AGREED_REGEX = "^(data|stringData)$"
MASK = "**SOPS**"
MASKS = (MASK, base64.b64encode(MASK.encode()).decode())
"""What ``flux build`` prints instead of values, and the same in base64."""

VALUE = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/]+={0,2}),iv:([A-Za-z0-9+/]+={0,2}),"
    r"tag:([A-Za-z0-9+/]+={0,2}),type:(str|int|float|bool|bytes|comment)\]"
)
LOOKS_ENCRYPTED = re.compile(r"\s*ENC\s*\[", re.IGNORECASE)

_IV_BYTES, _TAG_BYTES = 32, 16
_LISTS = {
    "age": "{recipient}",
    "pgp": "{fp}",
    "kms": "{arn}",
    "gcp_kms": "{resource_id}",
    "azure_kv": "{vault_url}/keys/{name}/{version}",
    "hc_vault": "{vault_address}/v1/{engine_path}/keys/{key_name}",
    "hckms": "{key_id}",
}
"""The kinds of recipients, and how one is written in a creation rule of .sops.yaml."""
_FLAT_ID = re.compile(
    r"(?:key_groups__list_\d+__map_)?(age|pgp|kms|gcp_kms|azure_kv|hc_vault|hckms)"
    r"__list_(\d+)__map_(\w+)"
)
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([^=\s#;\[][^=]*?)\s*=\s*(.*?)\s*")


def is_encrypted(value: str) -> bool:
    """True for exactly what sops writes for a value: its form, and the sizes of iv and tag."""
    match = VALUE.fullmatch(value)
    if match is None:
        return False
    data, iv, tag = (_decoded(match.group(part)) for part in (1, 2, 3))
    return (
        bool(data)
        and iv is not None
        and tag is not None
        and (len(iv) == _IV_BYTES and len(tag) == _TAG_BYTES)
    )


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclass(frozen=True)
class Metadata:
    """The ``sops`` block of a file."""

    line: int
    mac: str
    recipients: frozenset[str]
    options: dict[str, str]

    @property
    def regex(self) -> str | None:
        """The ``encrypted_regex``, None without one."""
        return self.options.get("encrypted_regex")

    def selects(self, path: tuple[str, ...]) -> bool:
        """True if sops would have encrypted a value at *path* (sops.go, shouldBeEncrypted).

        True where an expression cannot be judged, so that plain text is found; False for comment
        rules.
        """
        options = self.options
        try:
            if self.regex is not None:
                return any(regex.search(self.regex, key) for key in path)
            if "encrypted_suffix" in options:
                return any(key.endswith(options["encrypted_suffix"]) for key in path)
            if "unencrypted_regex" in options:
                return not any(regex.search(options["unencrypted_regex"], key) for key in path)
        except regex.PatternError:
            return True
        if options.keys() & {"encrypted_comment_regex", "unencrypted_comment_regex"}:
            return False
        suffix = options.get("unencrypted_suffix")
        return not (suffix and any(key.endswith(suffix) for key in path))

    @property
    def has_mac(self) -> bool:
        """True if the mac has the form of an encrypted value; Flux looks for nothing more."""
        return is_encrypted(re.sub(r"\s+", "", self.mac))

    def problems(self) -> Iterator[Hit]:
        """Yield what makes the metadata useless, whatever the recipients should be."""
        if not self.has_mac:
            yield Hit(self.line, "sops-no-mac", "the sops block has no valid mac")
        if not self.recipients:
            yield Hit(self.line, "sops-no-recipients", "the sops block names no recipient")
        for name, pattern in self.options.items():
            if name.endswith("_regex"):
                yield from pattern_problem(self.line, name, pattern)
        age = [name for name in self.recipients if name.startswith("age1")]
        quantum = [name for name in age if kind_of(name) == "pq"]
        if quantum and len(quantum) < len(age):
            yield Hit(
                self.line,
                "sops-mixed-recipients",
                "post-quantum and classic age recipients are mixed, so the file is only classic",
            )


def pattern_problem(line: int, name: str, pattern: str) -> Iterator[Hit]:
    """Yield why sops cannot use the regular expression under *name*."""
    try:
        regex.check(pattern)
    except regex.PatternError as error:
        yield Hit(line, "sops-bad-pattern", f"{name} {error}")


def kind_of(recipient: str) -> str:
    """Return what kind of age key a recipient is: `pq` (post-quantum), or `x25519`."""
    return "pq" if recipient.startswith("age1pq1") else "x25519"


def metadata(document: Node) -> Metadata | None:
    """Return the metadata of a YAML or JSON document, None if it has no ``sops`` mapping."""
    for key, key_node, block in documents.entries(document):
        if key == "sops" and isinstance(block, Mapping):
            fields = {name: documents.text_of(value) for name, _, value in documents.entries(block)}
            return Metadata(
                documents.line_of(key_node),
                fields.get("mac", ""),
                frozenset(_recipients(block)),
                _options(fields),
            )
    return None


def _options(fields: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in fields.items() if name.endswith(("_regex", "_suffix"))}


def _recipients(block: Node) -> Iterator[str]:
    for kind in _LISTS:
        members = documents.get(block, kind)
        for member in members.value if isinstance(members, Sequence) else ():
            parts = {key: documents.text_of(value) for key, _, value in documents.entries(member)}
            name = _recipient(kind, parts)
            if name:
                yield name
    groups = documents.get(block, "key_groups")
    for group in groups.value if isinstance(groups, Sequence) else ():
        yield from _recipients(group)


def _recipient(kind: str, parts: dict[str, str]) -> str:
    """Return the name of a recipient, empty without its wrapped data key: it would open nothing."""
    if not parts.get("enc"):
        return ""
    try:
        return normal_recipient(_LISTS[kind].format(**parts))
    except KeyError:
        return ""


def normal_recipient(name: str) -> str:
    """Return *name* as it is compared: PGP fingerprints in upper case without spaces."""
    bare = re.sub(r"\s+", "", name)
    return bare.upper() if re.fullmatch(r"[0-9A-Fa-f]{16,40}", bare) else bare


def flat_metadata(text: str) -> Metadata | None:
    """Return the metadata of a dotenv or INI file, None if it has none."""
    found: dict[str, str] = {}
    groups: dict[tuple[str, str], dict[str, str]] = {}
    first = 0
    for number, key, value in _flat_lines(text):
        if key.startswith("sops_"):
            first = first or number
            name = key.removeprefix("sops_")
            found[name] = value
            match = _FLAT_ID.fullmatch(name)
            if match:
                groups.setdefault((match[1], name[: match.start(3)]), {})[match[3]] = value
    if not first:
        return None
    recipients = frozenset(_recipient(kind, parts) for (kind, _), parts in groups.items()) - {""}
    return Metadata(first, found.get("mac", ""), recipients, _options(found))


def _flat_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, key, value); keys of the INI section [sops] get dotenv's prefix."""
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        section = re.fullmatch(r"\s*\[([^\]]*)\]\s*", line)
        if section:
            prefix = "sops_" if section[1].strip() == "sops" else ""
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            yield number, prefix + match[1], match[2]


def flat_plaintext(text: str, found: Metadata | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield (line, key, value) of every value of a dotenv or INI file that is not encrypted.

    With *found*, only of those that its options select.
    """
    for number, key, value in _flat_lines(text):
        bare = value.strip("\"'")
        if not bare or key.startswith("sops_") or is_encrypted(bare):
            continue
        if found is None or found.selects((key,)):
            yield number, key, bare


def plaintext_leaves(
    document: Node, found: Metadata
) -> Iterator[tuple[tuple[str, ...], documents.Scalar]]:
    """Yield (path, scalar) of every leaf that *found* selects and that is not encrypted."""
    for key, _, value in documents.entries(document):
        if key != "sops":
            for path, leaf in documents.leaves(value):
                text = documents.text_of(leaf)
                if text and not is_encrypted(text) and found.selects((key, *path)):
                    yield (key, *path), leaf


def is_encrypted_file(text: str) -> bool:
    """True for a whole file that sops encrypted, in any of its formats, with nothing left plain.

    Used for sources of generators, binary files and values that hold an encrypted file.
    """
    flat = flat_metadata(text)
    if flat is not None:
        return _is_sound(flat) and next(flat_plaintext(text, flat), None) is None
    if '"sops"' not in text and "sops:" not in text:
        return False
    try:
        parsed = documents.parse(text)
    except Undecidable:
        return False
    if parsed.error_line or not parsed.documents:
        return False
    for document in parsed.documents:
        found = metadata(document)
        if found is None or not _is_sound(found) or next(plaintext_leaves(document, found), None):
            return False
    return True


def _is_sound(found: Metadata) -> bool:
    return next(found.problems(), None) is None
