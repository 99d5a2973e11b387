"""Follow encrypted values through a build: whether Flux decrypts them, and where they end up.

Before a build, Flux decrypts the files of secretGenerators and of patches. After it, Flux decrypts
each object whose own sops block has a mac, and each value of a Secret that is a whole encrypted
file. Nothing else is decrypted (kustomize-controller, internal/decryptor).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Set
from typing import Any

from sopslab.policy import sops
from sopslab.policy.findings import key_path
from sopslab.validation.marks import Marks, Origin, is_encrypted_file
from sopslab.validation.objects import Reader, at
from sopslab.validation.overlays import Overlay

Problem = tuple[str, str]
"""A rule and a message."""

_DISABLED = "kustomize.toolkit.fluxcd.io/decrypt"
_SECTIONS = ("data", "stringData")


def decrypted_before(parts: list[Overlay]) -> set[str]:
    """Return the files that Flux decrypts before it builds, if they are encrypted."""
    return {
        reference.target
        for part in parts
        for reference in part.references
        if reference.field in ("secretGenerator", "patches")
    }


def problems(
    manifest: Mapping[str, Any], before: Set[str], decrypts: bool, marks: Marks, reader: Reader
) -> Iterator[Problem]:
    """Yield what is wrong with the encrypted values of a built object.

    + before: the files that Flux decrypted before the build
    + decrypts: whether its Flux Kustomization decrypts anything
    """
    if str(at(manifest, "metadata", "annotations", _DISABLED)).lower() == "disabled":
        return
    own = _own(manifest, marks)
    is_secret = manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"
    content = {key: value for key, value in manifest.items() if key != "sops" or own is None}
    told: set[str] = set()
    for path, text in _texts(content):
        for rule, message in _of_value(path, text, own, is_secret, before, decrypts, marks, reader):
            if rule not in told:
                told.add(rule)
                yield rule, message


def _own(manifest: Mapping[str, Any], marks: Marks) -> Origin | None:
    """Return the origin of the mac in an object's sops block, None if Flux would not decrypt it."""
    mac = at(manifest, "sops", "mac")
    return next(marks.origins(mac), None) if isinstance(mac, str) else None


def _of_value(
    path: tuple[str, ...],
    text: str,
    own: Origin | None,
    is_secret: bool,
    before: Set[str],
    decrypts: bool,
    marks: Marks,
    reader: Reader,
) -> Iterator[Problem]:
    whole = _decoded(text) if is_secret and path[0] == "data" else ""
    found = [one for one in (*marks.origins(text), *marks.origins(whole)) if one.path]
    if not found:
        return
    where = key_path(*path)
    if own is None and is_secret and path[0] in _SECTIONS:
        restored = marks.restored(whole or text)
        if path[0] == "data" and is_encrypted_file(restored.encode()):
            if not decrypts:
                yield "decryption-missing", f"{where} holds an encrypted file"
            return
    opened = [one for one in found if one.path in before and decrypts]
    encrypted = [one for one in found if one not in opened]
    if opened and own is not None:
        text = (
            f"{where} comes from {opened[0].path}, which Flux decrypts before the build, and the "
        )
        text += f"rest of the object from {own.path}, which it decrypts after it"
        yield "encrypted-apart", text
    elif opened and not is_secret:
        text = f"{where} is decrypted from {opened[0].path}, and this is not a Secret"
        yield "decrypted-exposed", text
    apart = own is not None and [
        one for one in encrypted if not _one_key(one.path, own.path, reader)
    ]
    if apart and own is not None:
        text = (
            f"{where} is encrypted in {apart[0].path}, and the rest of the object in {own.path}: "
        )
        yield "encrypted-apart", f"{text}with another data key"
    elif encrypted and own is None and not decrypts and encrypted[0].path in before:
        yield "decryption-missing", f"{where} is encrypted in {encrypted[0].path}"
    elif encrypted and own is None:
        text = (
            f"{where} is encrypted in {encrypted[0].path}, and nothing decrypts it: the object has "
        )
        yield "ciphertext-applied", f"{text}no sops block of its own once it is built"


def _one_key(one: str, other: str, reader: Reader) -> bool:
    """Return whether two files are encrypted with the same data key, or are the same."""
    return one == other or bool(_wrapped(one, reader) & _wrapped(other, reader))


def _wrapped(path: str, reader: Reader) -> set[str]:
    found: set[str] = set()
    for document in reader.file(path).documents:
        metadata = sops.metadata(document)
        for group in metadata.groups if metadata is not None else ():
            found.update(recipient.enc.strip() for recipient in group)
    return found


def _texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, str(index)))


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
