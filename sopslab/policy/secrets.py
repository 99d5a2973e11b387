"""What an acceptable encrypted v1 Secret is.

Every leaf of data and stringData is a value as sops writes it, and the document carries usable
metadata for the right recipients. Flux itself demands none of this: it applies plaintext silently
and never checks the mac (kustomize-controller, internal/decryptor).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sopslab.policy import documents, passwords, placeholders, sops
from sopslab.policy.documents import Mapping, Node
from sopslab.policy.findings import Hit, key_path
from sopslab.policy.recipients import Expected, Read

_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]*")
SECTIONS = ("data", "stringdata")
"""In lower case, since a section in the wrong case still holds its values."""
_OBJECT = frozenset(("apiVersion", "kind", "metadata", "type", "immutable"))


@dataclass(frozen=True)
class Place:
    """Where a document lies: its path, its tree, and what its recipients should be."""

    path: str
    in_secrets_tree: bool
    expected: Callable[[], Expected]
    read: Read
    sealed: set[str] = field(default_factory=set)
    """Ciphertext of another form, which gitleaks takes for a token."""
    names: set[int] = field(default_factory=set)
    """Lines that name something and hold no value, whatever their entropy."""
    for_flux: bool = False
    """Whether Flux may read it: then nothing replaces what looks like a template."""


def is_secret(fields: dict[str, Node]) -> bool:
    """True for the fields of a v1 Secret, or of a patch of one that names no version."""
    kind = documents.text_of(fields.get("kind")).strip()
    version = documents.text_of(fields.get("apiVersion")).strip()
    return kind.lower() == "secret" and version in ("", "v1")


def check(secret: Node, block: sops.Metadata | None, place: Place) -> Iterator[Hit]:
    """Yield what is wrong with *secret*; if it has no sops block, that of its document counts.

    + block: the metadata of the document
    """
    # A List may be put together from Secrets that were encrypted one by one.
    found = sops.metadata(secret) or block
    filled = False
    suffix = (found.options if found else {}).get("unencrypted_suffix") or "_unencrypted"
    for section, content in _sections(secret):
        if not isinstance(content, Mapping):
            filled = filled or bool(documents.text_of(content))
            yield from leaf((section,), content, place)
            continue
        for key, entry_node, value in documents.entries(content):
            for path, scalar in documents.leaves(value):
                filled = filled or bool(documents.text_of(scalar))
                hits = list(leaf((section, key, *path), scalar, place))
                if hits and any(part.endswith(suffix) for part in (key, *path)):
                    text = f"{key_path(section, key)} is left in plain text by sops"
                    hits = [Hit(documents.line_of(scalar), "secret-unencrypted-suffix", text)]
                yield from hits
            if not _DATA_KEY.fullmatch(key):
                # In YAML, {password:value} is a key without a value: the value is part of the key.
                text = f"{key_path(section, key)} is not a key of a Secret, but text"
                yield Hit(documents.line_of(entry_node), "secret-plaintext", text)
                filled = True
    if filled:
        yield from _metadata(secret, found, place)


def leaf(path: tuple[str, ...], value: Node, place: Place) -> Iterator[Hit]:
    """Yield what is wrong with one value of a Secret, at *path*."""
    text = documents.text_of(value)
    if not text or sops.is_encrypted(text):
        return
    line, name = documents.line_of(value), key_path(*path)
    if text.strip() in sops.MASKS:
        yield Hit(line, "secret-mask", f"{name} is the mask of flux build, not a value")
    elif sops.LOOKS_ENCRYPTED.match(text):
        yield Hit(line, "secret-lookalike", f"{name} looks encrypted but is not what sops writes")
    elif _is_encrypted_content(text):
        place.sealed.add(text.strip())
    elif place.in_secrets_tree or place.for_flux or not _is_filled_in(path[-1], text):
        yield Hit(line, "secret-plaintext", f"{name} is in plain text")


def _sections(secret: Node) -> Iterator[tuple[str, Node]]:
    """Yield (name, content) of each section that holds values.

    Where `data` of a Kyverno rule is an object, the sections of that object are yielded.
    """
    names = documents.fields(secret)
    for section, _, content in documents.entries(secret):
        if section.lower() not in SECTIONS:
            continue
        inner = documents.fields(content)
        held = [name for name in inner if name.lower() in SECTIONS]
        if (
            "name" in names
            and "metadata" not in names
            and any(isinstance(inner[name], Mapping) for name in held)
            and inner.keys() <= _OBJECT.union(held)
        ):
            yield from ((name, inner[name]) for name in held)
        else:
            yield section, content


def _is_filled_in(key: str, text: str) -> bool:
    """True for text that is to be filled in or fetched, and holds no value itself."""
    return (
        placeholders.is_template(text)
        or placeholders.is_stored(text)
        or placeholders.is_form(text)
        or (placeholders.is_address(text) and not passwords.is_secret_key(key))
    )


def _is_encrypted_content(text: str) -> bool:
    """True for a whole encrypted file as value, plain or in base64: Flux decrypts it too."""
    if sops.is_encrypted_file(text):
        return True
    try:
        return sops.is_encrypted_file(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return False


def _metadata(secret: Node, found: sops.Metadata | None, place: Place) -> Iterator[Hit]:
    if found is None:
        encrypted = next(_encrypted(secret), None)
        if encrypted is not None:
            line = documents.line_of(encrypted)
            yield Hit(line, "sops-no-mac", "values are encrypted, but there is no sops block")
        return
    yield from found.problems()
    yield from place.expected().problems(found)
    if place.in_secrets_tree:
        if found.regex != sops.AGREED_REGEX:
            text = "encrypted with another encrypted_regex than the agreed one"
            yield Hit(found.line, "sops-wrong-regex", text)
        for section, _, content in documents.entries(secret):
            if section.lower() not in (*SECTIONS, "sops"):
                for path, leaf in documents.leaves(content):
                    if sops.is_encrypted(documents.text_of(leaf)):
                        text = f"{key_path(section, *path)} is encrypted, but Flux must read it"
                        yield Hit(documents.line_of(leaf), "secret-field-encrypted", text)
    elif found.regex is not None and not all(
        found.selects((section,)) for section in ("data", "stringData")
    ):
        text = "encrypted_regex does not cover both data and stringData"
        yield Hit(found.line, "sops-wrong-regex", text)


def _encrypted(secret: Node) -> Iterator[Node]:
    for section, _, content in documents.entries(secret):
        if section.lower() in SECTIONS:
            for _, leaf in documents.leaves(content):
                if sops.is_encrypted(documents.text_of(leaf)):
                    yield leaf
