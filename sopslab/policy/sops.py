"""What sops writes: encrypted values, and its metadata in YAML, JSON, dotenv and INI.

Sources: getsops/sops aes/cipher.go (the form of a value), stores/stores.go (metadata and its
flat form in dotenv and INI), age/keysource.go. sops leaves an empty string and null as they are.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as TypingMapping
from dataclasses import dataclass, field

from sopslab.policy import age, documents, regex
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

_IV_BYTES, _TAG_BYTES, _MAC_BYTES = 32, 16, 128
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)")
_VERSION = re.compile(r"\d+\.\d+(?:\.\d+\S*)?")
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
    r"(?:key_groups__list_(\d+)__map_)?(age|pgp|kms|gcp_kms|azure_kv|hc_vault|hckms)"
    r"__list_(\d+)__map_(\w+)"
)
_FLAT_LIST = re.compile(r"(?:key_groups__list_\d+__map_)?([a-z_]+?)__list_\d+")
_ASSIGNED = re.compile(r"(?:export\s+)?([^\s#;\[].*)")


def is_encrypted(value: str) -> bool:
    """True for exactly what sops writes for a value: its form, and the sizes of iv and tag."""
    match = VALUE.fullmatch(value)
    return match is not None and _sizes(match) is not None


def _sizes(match: re.Match[str]) -> int | None:
    """Return how long the value in *match* is, in bytes; None where iv or tag cannot be right."""
    try:
        data, iv, tag = (base64.b64decode(match[part], validate=True) for part in (1, 2, 3))
    except (binascii.Error, ValueError):
        return None
    sound = bool(data) and len(iv) == _IV_BYTES and len(tag) == _TAG_BYTES
    return len(data) if sound else None


@dataclass(frozen=True)
class Recipient:
    """A recipient, and a file's data key or a share of it, wrapped for this recipient."""

    kind: str
    name: str
    enc: str


Group = tuple[Recipient, ...]


@dataclass(frozen=True)
class Metadata:
    """The ``sops`` block of a file."""

    line: int
    fields: dict[str, str]
    groups: tuple[Group, ...]
    """The groups that sops uses; of several, as many must be opened as the threshold says."""
    foreign: frozenset[str] = field(default=frozenset())
    """The kinds of recipients, in any place of the block, that are not age's own."""

    @property
    def mac(self) -> str:
        """The message authentication code, empty without one."""
        return self.fields.get("mac", "")

    @property
    def options(self) -> dict[str, str]:
        """The options that tell which values are encrypted."""
        return {
            name: text for name, text in self.fields.items() if name.endswith(("_regex", "_suffix"))
        }

    @property
    def recipients(self) -> frozenset[str]:
        """The names of all recipients with a wrapped key."""
        return frozenset(one.name for group in self.groups for one in group)

    @property
    def openers(self) -> frozenset[str]:
        """The names of the recipients that can open the file alone."""
        held = [{one.name for one in group} for group in self.groups]
        needed = 1 if len(held) == 1 else self._threshold or len(held)
        return frozenset(
            name for name in self.recipients if sum(name in group for group in held) >= needed
        )

    @property
    def _threshold(self) -> int:
        text = self.fields.get("shamir_threshold", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0

    @property
    def regex(self) -> str | None:
        """The ``encrypted_regex``, None without one."""
        return self.options.get("encrypted_regex")

    def selects(self, path: tuple[str, ...]) -> bool:
        """True if sops would have encrypted a value at *path* (sops.go, shouldBeEncrypted).

        Also True if a regular expression cannot be judged, so that plain text is found; False for
        rules by comment.
        """
        return selects(self.options, path)

    def problems(self) -> Iterator[Hit]:
        """Yield what makes the metadata useless, whatever the recipients should be."""
        if self._mac_bytes is None:
            yield Hit(self.line, "sops-no-mac", "the sops block has no valid mac")
        if not self.recipients:
            yield Hit(self.line, "sops-no-recipients", "the sops block names no recipient")
        for text in self._unopenable():
            yield Hit(self.line, "sops-unopenable", text)
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

    def _unopenable(self) -> Iterator[str]:
        """Yield why nobody can open the file, or one of its recipients cannot."""
        if not _TIME.fullmatch(self.fields.get("lastmodified", "")):
            yield "the sops block has no valid lastmodified"
        # sops opens a file without a version, too.
        if self.fields.get("version") and not _VERSION.fullmatch(self.fields["version"]):
            yield "the sops block has no valid version"
        threshold = self.fields.get("shamir_threshold", "")
        if threshold not in ("", "0") and not 0 < self._threshold <= max(len(self.groups), 1):
            yield "the sops block asks for more groups of recipients than there are"
        for one in self._by_age:
            if age.unarmored(one.enc) is None:
                yield f"what is wrapped for {short(one.name)} is not a data key"

    def made_up(self) -> Iterator[Hit]:
        """Yield what sops cannot have written, as far as it can be told without a key.

        Only for files that have to be real: in examples, such values are placeholders.
        """
        if self._mac_bytes not in (None, _MAC_BYTES):
            yield Hit(self.line, "sops-no-mac", "the mac in the sops block is not a SHA-512")
        shared = len(self.groups) > 1
        for one in self._by_age:
            known = age.unarmored(one.enc) is not None
            if known and not age.wraps_data_key(one.name, one.enc, shared=shared):
                text = f"what is wrapped for {short(one.name)} is not a data key"
                yield Hit(self.line, "sops-unopenable", text)

    @property
    def _mac_bytes(self) -> int | None:
        """How long the mac is, in bytes; None if it does not have the form of an encrypted text."""
        match = VALUE.fullmatch(re.sub(r"\s+", "", self.mac))
        return _sizes(match) if match is not None and match[4] == "str" else None

    @property
    def _by_age(self) -> list[Recipient]:
        return [one for group in self.groups for one in group if one.kind == "age"]


def selects(options: TypingMapping[str, str], path: tuple[str, ...]) -> bool:
    """Return whether sops encrypts a value at *path* with the *options* of a file or of a rule.

    Also True if a regular expression cannot be judged, so that plain text is found; False for rules
    by comment.
    """
    try:
        if "encrypted_regex" in options:
            return any(regex.search(options["encrypted_regex"], key) for key in path)
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


def pattern_problem(line: int, name: str, pattern: str) -> Iterator[Hit]:
    """Yield why sops cannot use the regular expression under *name*."""
    try:
        regex.check(pattern)
    except regex.PatternError as error:
        yield Hit(line, "sops-bad-pattern", f"{name} {error}")


def short(name: str) -> str:
    """Return a recipient short enough for a sentence: a post-quantum key fills a page."""
    printable = re.sub(r"[^A-Za-z0-9:/._-]", "?", name)
    return printable if len(printable) <= 64 else printable[:24] + "…" + printable[-8:]


def kind_of(recipient: str) -> str:
    """Return what kind of age key a recipient is: `pq` (post-quantum), or `x25519`."""
    return "pq" if recipient.startswith("age1pq1") else "x25519"


def metadata(document: Node) -> Metadata | None:
    """Return the metadata of a YAML or JSON document, None if it has no ``sops`` mapping."""
    for key, key_node, block in documents.entries(document):
        if key == "sops" and isinstance(block, Mapping):
            fields = {name: documents.text_of(value) for name, _, value in documents.entries(block)}
            line = documents.line_of(key_node)
            return _metadata(line, fields, list(_groups(block)), _lists(block))
    return None


def _metadata(line: int, fields: dict[str, str], groups: list[Group], kinds: set[str]) -> Metadata:
    """Return the metadata; the first of *groups* has the recipients outside of any group.

    + kinds: the names of all lists of recipients, in any place
    """
    used = groups[:1] if groups[0] else groups[1:]
    return Metadata(line, fields, tuple(group for group in used if group), _foreign(groups, kinds))


def _foreign(groups: Iterable[Group], kinds: set[str]) -> frozenset[str]:
    foreign = {kind for kind in kinds if kind.casefold() != "age"}
    named = {one.name for group in groups for one in group if one.kind == "age"}
    if not all(age.is_native(name) for name in named):
        foreign.add("plugin-or-ssh")
    return frozenset(foreign)


def _groups(block: Node) -> Iterator[Group]:
    """Yield the recipients outside of any group, then those of each group."""
    yield tuple(_recipients(block))
    for group in documents.items(documents.get(block, "key_groups")):
        yield tuple(_recipients(group))


def _lists(block: Node) -> set[str]:
    """Return the names of the lists that are not empty, including those in groups."""
    found: set[str] = set()
    for name, _, value in documents.entries(block):
        if name.casefold() == "key_groups":
            for group in documents.children(value):
                found |= _lists(group)
        elif isinstance(value, Sequence) and value.value:
            found.add(name)
    return found


def _recipients(block: Node) -> Iterator[Recipient]:
    for kind in _LISTS:
        for member in documents.items(documents.get(block, kind)):
            parts = {key: documents.text_of(value) for key, _, value in documents.entries(member)}
            yield from _recipient(kind, parts)


def _recipient(kind: str, parts: dict[str, str]) -> Iterator[Recipient]:
    """Yield a recipient, unless its wrapped data key is missing: it would open nothing."""
    try:
        name = normal_recipient(_LISTS[kind].format(**parts))
    except KeyError:
        return
    if name and parts.get("enc"):
        yield Recipient(kind, name, parts["enc"])


def normal_recipient(name: str) -> str:
    """Return *name* as it is compared: PGP fingerprints in upper case without spaces."""
    bare = re.sub(r"\s+", "", name)
    return bare.upper() if re.fullmatch(r"[0-9A-Fa-f]{16,40}", bare) else bare


# A section `[sops]` that sops wrote has at least one of these. Any other may be the settings of a
# program that uses sops.
_WRITTEN = {"mac", "lastmodified", "version"}


def flat_metadata(text: str) -> Metadata | None:
    """Return the metadata of a dotenv or INI file, None if it has none."""
    found: dict[str, str] = {}
    entries: dict[tuple[int, str, int], dict[str, str]] = {}
    kinds: set[str] = set()
    first = 0
    for number, key, value in _flat_lines(text):
        if key.startswith("sops_"):
            first = first or number
            name = key.removeprefix("sops_")
            found[name] = value
            kinds.update(_FLAT_LIST.findall(name)[:1])
            match = _FLAT_ID.fullmatch(name)
            if match:
                group = int(match[1][:4]) + 1 if match[1] else 0
                entry = entries.setdefault((group, match[2], int(match[3][:4])), {})
                entry[match[4]] = value.replace("\\n", "\n")
    if not first or not (entries or found.keys() & _WRITTEN):
        return None
    groups: dict[int, list[Recipient]] = {0: []}
    for (number, kind, _), parts in sorted(entries.items()):
        groups.setdefault(number, []).extend(_recipient(kind, parts))
    return _metadata(first, found, [tuple(group) for group in groups.values()], kinds)


def flat_values(text: str) -> Iterator[str]:
    """Yield the values of a dotenv or INI file except sops' own."""
    for _, key, value in _flat_lines(text):
        if not key.startswith("sops_"):
            yield value.strip("\"'")


def _flat_lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line, key, value); keys of the INI section [sops] get dotenv's prefix."""
    prefix = ""
    for number, line in enumerate(text.splitlines(), 1):
        section = re.fullmatch(r"\s*\[([^\]]*)\]\s*", line)
        if section:
            prefix = "sops_" if section[1].strip() == "sops" else ""
            continue
        key, equals, value = line.partition("=")
        match = _ASSIGNED.fullmatch(key.strip()) if equals else None
        if match:
            yield number, prefix + match[1], value.strip()


def flat_plaintext(text: str, found: Metadata | None = None) -> Iterator[tuple[int, str, str]]:
    """Yield (line, key, value) of every value of a dotenv or INI file that is not encrypted.

    With *found*, only of values that its options select.
    """
    for number, key, value in _flat_lines(text):
        bare = value.strip("\"'")
        if not bare or key.startswith("sops_") or is_encrypted(bare):
            continue
        if found is None or found.selects((key,)):
            yield number, key, bare


def is_hollow(values: Iterable[str]) -> bool:
    """True if there are values, and not one of them is ciphertext: then sops encrypted nothing."""
    filled = [value for value in values if value]
    return bool(filled) and not any(map(is_encrypted, filled))


_OBJECT = frozenset(("apiVersion", "kind", "metadata", "type"))


def values(document: Node) -> Iterator[str]:
    """Yield the texts of all leaves of a document except those of its sops block.

    Fields that identify a Kubernetes object are left out, also in objects inside of it.
    """
    is_object = documents.get(document, "kind") is not None
    for key, _, value in documents.entries(document):
        if key != "sops":
            for path, leaf in documents.leaves(value):
                if not (is_object and _OBJECT.intersection((key, *path))):
                    yield documents.text_of(leaf)


def plaintext_leaves(
    document: Node,
    found: Metadata,
    demanded: Callable[[tuple[str, ...]], bool] = lambda _: False,
) -> Iterator[tuple[tuple[str, ...], documents.Scalar]]:
    """Yield (path, scalar) of every leaf that should be encrypted and is not.

    + found: the metadata, whose options select what is encrypted
    + demanded: tells which other paths have to be encrypted
    """
    for key, _, value in documents.entries(document):
        if key != "sops":
            for path, leaf in documents.leaves(value):
                text = documents.text_of(leaf)
                if text and not is_encrypted(text):
                    whole = (key, *path)
                    if found.selects(whole) or demanded(whole):
                        yield whole, leaf


def foreign_kinds(text: str) -> frozenset[str]:
    """Return the kinds of recipients in a file for which sops asks others: all but age's own.

    Everything that sops might take for metadata counts. If the text cannot be read, its kind is
    `unknown`.
    """
    flat = flat_metadata(text)
    found = set(flat.foreign if flat is not None else ())
    try:
        parsed = documents.parse(text)
    except Undecidable:
        return frozenset({"unknown"})
    if parsed.error_line:
        return frozenset(found or (() if flat is not None else ("unknown",)))
    for document in parsed.documents:
        for name, _, block in documents.entries(document):
            if name.casefold() == "sops" and isinstance(block, Mapping):
                found |= _foreign(_groups(block), _lists(block))
    return frozenset(found)


def is_encrypted_file(text: str) -> bool:
    """True for a whole file that sops encrypted, in any of its formats, with nothing left plain.

    Used for sources of generators, binary files and values that hold an encrypted file.
    """
    flat = flat_metadata(text)
    if flat is not None:
        if is_hollow(flat_values(text)):
            return False
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
    return not is_hollow(value for document in parsed.documents for value in values(document))


def _is_sound(found: Metadata) -> bool:
    return next(found.problems(), None) is None
