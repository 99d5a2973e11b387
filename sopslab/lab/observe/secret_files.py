"""Manifests of Secrets, encrypted or not: what can be read in them, and what sops decrypts.

Decrypted values exist in this process only. Each is replaced by its SHA-256 at once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sopslab.checks.snapshot import Manifest, Opened
from sopslab.config.places import Places
from sopslab.lab.observe.keys import key_file
from sopslab.lab.tools.sops import MAC_MISMATCH, NO_KEY, decrypt
from sopslab.policy import documents, sops
from sopslab.policy.findings import Undecidable, key_path

_REASONS = {MAC_MISMATCH: Opened.MAC, NO_KEY: Opened.KEY}


def read_manifest(data: bytes) -> Manifest | None:
    """Return the description of the Secret in a file, without its values; None if the file is not
    the manifest of a Secret."""
    try:
        parsed = documents.parse(data.decode("utf-8-sig", "replace"))
    except Undecidable:
        return None
    written = [one for one in parsed.documents if not documents.is_null(one)]
    if parsed.error_line or len(written) != 1:
        return None
    (document,) = written
    if documents.text_of(documents.get(document, "kind")) != "Secret":
        return None
    named = documents.get(document, "metadata")
    metadata = sops.metadata(document)
    return Manifest(
        documents.text_of(documents.get(named, "name")),
        documents.text_of(documents.get(named, "namespace")),
        frozenset(key for _, key, _ in _values(document)),
        None if metadata is None else metadata.recipients,
        None if metadata is None else metadata.regex,
        tuple(
            key_path(section, key)
            for section, key, text in _values(document)
            if text and not sops.is_encrypted(text)
        ),
    )


def _values(document: documents.Node) -> Iterator[tuple[str, str, str]]:
    for section in ("data", "stringData"):
        for key, value in documents.fields(documents.get(document, section)).items():
            yield section, key, documents.text_of(value)


def open_manifest(places: Places, key: str, manifest: Manifest, data: bytes) -> Manifest:
    """Return a manifest with the hashes of its values, or with the reason why it cannot be
    decrypted. Raises Undecided if sops does not answer.

    + key: the identity of the store to decrypt it with
    + data: the text of the manifest
    """
    answer = decrypt(places, key_file(places, key), data, "--output-type", "json")
    if answer.code:
        return replace(manifest, opened=_REASONS.get(answer.code, Opened.NO))
    try:
        secret = json.loads(answer.out)
    except ValueError:
        return replace(manifest, opened=Opened.NO)
    digests, misfits = digest_manifest(secret)
    return replace(manifest, opened=Opened.YES, digests=digests, misfits=tuple(misfits))


def digest_manifest(secret: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return the SHA-256 of each value of a manifest as the API server would store it, and the keys
    whose values the API server would refuse.

    A value in `stringData` takes precedence over one in `data`.
    """
    digests: dict[str, str] = {}
    misfits: list[str] = []
    for field in ("data", "stringData"):
        values = secret.get(field) or {}
        if not isinstance(values, dict):
            misfits.append(field)
            continue
        for key, value in values.items():
            try:
                raw = _raw(value, encoded=field == "data")
            except ValueError:
                misfits.append(key_path(field, key))
                continue
            digests[key] = hashlib.sha256(raw).hexdigest()
    return digests, misfits


def digest_live(data: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each value of a Secret in the cluster."""
    return {key: hashlib.sha256(base64.b64decode(value)).hexdigest() for key, value in data.items()}


def _raw(value: object, *, encoded: bool) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise ValueError("not a string")
    if not encoded:
        return value.encode()
    try:
        # Go's decoder ignores line breaks, and nothing else.
        return base64.b64decode(re.sub(r"[\r\n]", "", value), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
