"""Check a build: every value of a Secret in it has to be encrypted in the source.

``flux build`` hides all values of a Secret that looks encrypted, even those in plain text. So
before a tree is built, ``marked`` replaces each encrypted value by a mark. After the build,
``check`` finds the values of Secrets that are not marks: they were in plain text in the source.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from sopslab.policy import documents, secrets, sops
from sopslab.policy.documents import Mapping
from sopslab.policy.findings import Finding, Hit, Undecidable, key_path

MARK = base64.b64encode(b"encrypted by sops").decode("ascii")
"""Stands for an encrypted value; base64, as the values in `data` have to be."""

_VALUE = re.compile(sops.VALUE.pattern.encode("ascii"))
# A well-formed encrypted value as long as a mac: put in for the marks, it makes a marked file
# readable as an encrypted one again.
_ZEROS = (base64.b64encode(bytes(size)).decode("ascii") for size in (128, 32, 16))
_ENCRYPTED = "ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]".format(*_ZEROS)
_PUBLIC = re.compile(
    r"(?:\s*-----BEGIN (CERTIFICATE|PUBLIC KEY)-----[A-Za-z0-9+/=\s]+-----END \1-----)+\s*"
)
# sops adds its metadata to a dotenv file as variables, so a Secret made from the file has them as
# keys.
_METADATA = re.compile(
    r"sops_(?:mac|lastmodified|version|shamir_threshold|mac_only_encrypted"
    r"|(?:un)?encrypted_(?:suffix|regex|comment_regex)|[a-z_]+__list_\d+__map_\w+)"
)


def marked(data: bytes) -> bytes:
    """Return the content of a file with a mark in place of each encrypted value."""
    return _VALUE.sub(MARK.encode("ascii"), data)


def check(text: str, path: str, commit: str) -> list[Finding]:
    """Return the sorted findings in *text*, which was built from *path* in a marked tree.

    Raises Undecidable if *text* cannot be read.
    """
    parsed = documents.parse(text)
    if parsed.error_line:
        raise Undecidable("cannot be judged once it is built")
    found = {
        hit.at(path, commit)
        for document in parsed.documents
        for node in documents.walk(document)
        if isinstance(node, Mapping) and secrets.is_secret(documents.fields(node))
        for hit in _plain(node)
    }
    return sorted(found)


def _plain(secret: Mapping) -> Iterator[Hit]:
    name = documents.text_of(documents.get(secret, "metadata", "name"))
    for section, _, content in documents.entries(secret):
        if section.casefold() not in secrets.SECTIONS:
            continue
        for path, leaf in documents.leaves(content):
            text = documents.text_of(leaf)
            if text and not _is_encrypted(text) and not _METADATA.fullmatch(".".join(path)):
                message = f"{key_path(section, *path)} of the Secret {key_path(name)} is in plain"
                yield Hit(1, "built-plaintext", f"{message} text once kustomize has built it")


def _is_encrypted(text: str) -> bool:
    """True for a mark, a whole encrypted file, certificates and public keys, also in base64."""
    return _is_allowed(text) or _is_allowed(_decoded(text))


def _is_allowed(text: str) -> bool:
    if text.strip() == MARK or sops.is_encrypted(text.strip()) or _PUBLIC.fullmatch(text):
        return True
    return MARK in text and sops.is_encrypted_file(text.replace(MARK, _ENCRYPTED))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
