"""Find what kustomize would write into a Secret: by patches, replacements and lists of fields.

kustomize applies a patch with a target to whatever the target selects, whatever kind the patch
itself names. So what counts is whether the target can be a Secret (kustomize,
api/types/selector.go).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from sopslab.policy import documents, regex, sops
from sopslab.policy.documents import Node, Scalar, Sequence
from sopslab.policy.findings import Hit, Undecidable, key_path
from sopslab.policy.secrets import SECTIONS, Place

_FIELD_SPEC = frozenset(("kind", "group", "version", "create"))


def check(found: dict[str, Node], place: Place) -> Iterator[Hit]:
    """Yield the findings of one mapping with the fields *found*, wherever in a document it is."""
    fields = {key.casefold(): node for key, node in found.items()}
    for name in ("patches", "patchesjson6902"):
        for patch in documents.items(fields.get(name)):
            yield from _patch(patch, place)
    for replacement in documents.items(fields.get("replacements")):
        yield from _replacement(replacement)
    if isinstance(fields.get("targets"), Sequence) and fields.keys() & {"source", "sourcevalue"}:
        # Replacements in a file of their own.
        yield from _targets(fields["targets"])
    if place.for_flux and "op" not in fields and fields.keys() & _FIELD_SPEC:
        yield from _field(fields.get("path"), fields.get("kind"))


def _folded(node: Node | None) -> dict[str, Node]:
    return {key.casefold(): value for key, _, value in documents.entries(node)}


def _may_be_secret(kind: Node | None) -> bool:
    """True if a selector's *kind*, a regular expression, selects Secrets."""
    text = documents.text_of(kind)
    try:
        return not text or regex.search(f"^(?:{text})$", "Secret")
    except regex.PatternError:
        return True


def _is_value(path: str) -> bool:
    """True if a JSON pointer or a path of fields leads into the values of a Secret."""
    first = path.lstrip("/").replace("/", ".").partition(".")[0]
    return first.strip("[]\"'").casefold() in (*SECTIONS, "*")


def _patch(patch: Node, place: Place) -> Iterator[Hit]:
    fields = _folded(patch)
    target = fields.get("target")
    if target is not None and not _may_be_secret(_folded(target).get("kind")):
        return
    line, written = documents.line_of(patch), fields.get("patch")
    path = documents.text_of(fields.get("path"))
    if isinstance(written, Scalar):
        line, text = documents.line_of(written), documents.text_of(written)
    elif path:
        data = place.read(posixpath.normpath(posixpath.join(posixpath.dirname(place.path), path)))
        text = (data or b"").decode("utf-8-sig", "replace")
    else:
        return
    try:
        parsed = documents.parse(text)
    except Undecidable:
        if place.for_flux:
            raise
        return
    for document in parsed.documents:
        if isinstance(document, Sequence):
            for operation in document.value:
                yield from _operation(_folded(operation), line)
        elif target is not None:
            for section, _, content in documents.entries(document):
                if section.casefold() in SECTIONS:
                    yield from _plain(content, line, section)


def _operation(fields: dict[str, Node], line: int) -> Iterator[Hit]:
    """Yield what is wrong with one operation of a JSON patch (RFC 6902) on a Secret."""
    path = documents.text_of(fields.get("path"))
    if "op" not in fields or (path and not _is_value(path)):
        return
    source = documents.text_of(fields.get("from"))
    if source and not _is_value(source):
        yield Hit(line, "secret-copied", "a patch copies something into the values of a Secret")
    if "value" in fields:
        yield from _plain(fields["value"], line, *path.split("/"))


def _plain(value: Node, line: int, *names: str) -> Iterator[Hit]:
    for below, leaf in documents.leaves(value):
        whole = [*names, *below]
        if not any(names) and not (below and _is_value(below[0])):
            continue
        text = documents.text_of(leaf)
        if text and not sops.is_encrypted(text):
            message = f"{key_path(*filter(None, whole))} is in plain text, in a patch of a Secret"
            yield Hit(line, "secret-plaintext", message)


def _replacement(replacement: Node) -> Iterator[Hit]:
    targets = _folded(replacement).get("targets")
    if targets is not None:
        yield from _targets(targets)


def _targets(targets: Node) -> Iterator[Hit]:
    for target in documents.items(targets):
        fields = _folded(target)
        if not _may_be_secret(_folded(fields.get("select")).get("kind")):
            continue
        for path in documents.items(fields.get("fieldpaths")):
            yield from _field(path, None)


def _field(path: Node | None, kind: Node | None) -> Iterator[Hit]:
    text = documents.text_of(path)
    if path is not None and text and _is_value(text) and _may_be_secret(kind):
        message = "kustomize is told to write into the values of a Secret"
        yield Hit(documents.line_of(path), "secret-copied", message)
