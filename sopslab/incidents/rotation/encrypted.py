"""What can be read without a key in a file that sops has encrypted, and an attack on such a file.

The attack is the splice: the data key of an old version, wrapped for a former recipient, is put
into the present version. It opens the file if the data key has not been changed since.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache

from sopslab.policy import documents, sops
from sopslab.policy.documents import Mapping, Node, Scalar, Sequence
from sopslab.policy.findings import Undecidable

# Secrets of these types may hold any value. The values of any other type are checked by the program
# that uses them, which would refuse a made-up one.
_FREE_TYPES = {"", "Opaque"}
# Of a Secret's name, and of a key in it.
_LONGEST_NAME = 253
# A learner may tag anything as a number, or give one thousands of digits, which `int` refuses.
_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, order=True)
class Leaf:
    """A value of a Secret: the field that it is in (`data` or `stringData`), and its key."""

    section: str
    key: str

    @property
    def index(self) -> str:
        """The place of the value in the notation of sops."""
        return f"[{json.dumps(self.section)}][{json.dumps(self.key)}]"


@dataclass(frozen=True)
class EncryptedFile:
    """What can be read in an encrypted file.

    `secret` is the name of the Secret in it, "" if it is not a Secret. `free` is whether any text
    will do as a value. `exposed` is whether one of its values is not encrypted.
    """

    recipients: frozenset[str]
    secret: str = ""
    leaves: tuple[Leaf, ...] = ()
    free: bool = False
    exposed: bool = False

    @property
    def misnamed(self) -> bool:
        """Whether the Secret or a value has a name that no Secret of Kubernetes can have, and that
        could not be put on record."""
        return any(
            len(name) > _LONGEST_NAME or not name.isprintable()
            for name in (self.secret, *(leaf.key for leaf in self.leaves))
        )


def read_encrypted(text: str) -> EncryptedFile | None:
    """Return what can be read in the `text` of an encrypted file; None if it is not encrypted, or
    cannot be parsed."""
    # Imported here, because every run knows rotations, and this compiles the expressions of a dozen
    # rules.
    from sopslab.policy.secrets import is_secret

    try:
        parsed = documents.parse(text)
    except Undecidable:
        return None
    written = [one for one in parsed.documents if not documents.is_null(one)]
    found = next((block for one in written if (block := sops.metadata(one))), None)
    if found is None or parsed.error_line:
        flat = sops.flat_metadata(text)
        return None if flat is None else EncryptedFile(flat.recipients)
    fields = documents.fields(written[0])
    if len(written) != 1 or not is_secret(fields):
        return EncryptedFile(found.recipients, exposed=_exposed(written, found))
    values = [
        (Leaf(section, key), value)
        for section in ("data", "stringData")
        for key, _, value in documents.entries(fields.get(section))
        # sops does not encrypt an empty value, and nobody learns anything from it.
        if any(documents.text_of(leaf) for _, leaf in documents.leaves(value))
    ]
    return EncryptedFile(
        found.recipients,
        secret=documents.text_of(documents.get(fields.get("metadata"), "name")),
        leaves=tuple(leaf for leaf, _ in values),
        free=documents.text_of(fields.get("type")) in _FREE_TYPES
        and all(isinstance(value, Scalar) for _, value in values),
        exposed=any(_plain(value) for _, value in values),
    )


def _exposed(written: list[Node], found: sops.Metadata) -> bool:
    return any(next(sops.plaintext_leaves(one, found), None) for one in written)


def _plain(value: Node) -> bool:
    texts = [documents.text_of(leaf) for _, leaf in documents.leaves(value)]
    return any(text and not sops.is_encrypted(text) for text in texts)


def splice(present: str, past: str, recipient: str) -> str | None:
    """Return the file `present` with the data key of the file `past`, wrapped for `recipient`.

    Return None if the past file did not have that recipient, or one of the files is not encrypted.
    The result is JSON, which sops reads as YAML. Raises Undecidable if the present file is such as
    sops writes none, and may be too much to be written so.
    """
    wrapped = _wrapped(past, recipient)
    first = _values(present) if wrapped else None
    block = first.get("sops") if first is not None else None
    if first is None or not isinstance(block, dict):
        return None
    return json.dumps({**first, "sops": {**block, "age": wrapped}})


def _wrapped(text: str, recipient: str) -> list[dict[str, str]]:
    """Return the data keys of a file that are wrapped for a recipient. Of a former file nothing
    else is read: any learner can have written it."""
    try:
        listed = documents.get(_first(text), "sops", "age")
    except Undecidable:
        return []
    entries = {id(one): one for one in listed.value} if isinstance(listed, Sequence) else {}
    keys = [
        documents.text_of(documents.get(one, "enc"))
        for one in entries.values()
        if documents.text_of(documents.get(one, "recipient")) == recipient
    ]
    return [{"recipient": recipient, "enc": key} for key in dict.fromkeys(keys)]


# One present file is put together with each of its former versions.
@lru_cache(maxsize=1)
def _values(text: str) -> dict[str, object] | None:
    """Return the first document of a file as a value of JSON, None if it is no mapping. Raises
    Undecidable."""
    document = _first(text)
    if document is None:
        return None
    if documents.has_aliases(document):
        raise Undecidable("has aliases, which sops writes in no file")
    try:
        value = _value(document)
    except RecursionError:
        raise Undecidable("is nested too deeply") from None
    return value if isinstance(value, dict) else None


def _first(text: str) -> Node | None:
    """Return the first document of a file that is not empty. Raises Undecidable."""
    written = documents.parse(text).documents
    return next((one for one in written if not documents.is_null(one)), None)


def _value(node: Node) -> object:
    """Return a node of YAML as a value of JSON, with the types that sops writes."""
    if isinstance(node, Mapping):
        return {key: _value(value) for key, _, value in documents.entries(node)}
    if isinstance(node, Sequence):
        return [_value(one) for one in node.value]
    text = documents.text_of(node)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() in ("true", "yes", "on")
        case "int" if _INTEGER.fullmatch(text):
            return int(text)
    return text
