"""Find what a kustomization refers to, in its parsed document. Pure."""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sopslab.policy import documents
from sopslab.policy.documents import Node, Scalar
from sopslab.policy.findings import Undecidable

LISTS = ("resources", "bases", "components")
"""Lists of what is applied: files and folders."""
_PLUGINS = ("generators", "transformers", "validators")
_FILES = ("configurations", "crds")
_SOURCES = ("files", "envs")
_PATHS = ("path", "paths", "env", *_SOURCES)

_SCHEME = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*::)?[a-z][a-z0-9+.-]*://|^git::|^gh:|^[\w.-]+@[\w.-]+:", re.IGNORECASE
)
# `example.org/team/repository//path?ref=v1`, the short form of a Git base.
_HOST = re.compile(r"^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?/[^/]+/[^/]+", re.IGNORECASE)


@dataclass(frozen=True)
class Reference:
    """A file, a folder or a remote place that a kustomization names."""

    field: str
    text: str
    line: int
    folder: str = dataclasses.field(default=".", compare=False)
    """The folder of the kustomization, to which paths are relative."""

    @property
    def target(self) -> str:
        """The path it leads to, from the repository's top; it begins with `..` if it leads out."""
        if self.text.startswith("/"):
            return f"../{self.text}"
        return posixpath.normpath(posixpath.join(self.folder, self.text))

    @property
    def leads_out(self) -> bool:
        """True if it leaves the repository."""
        return self.target == ".." or self.target.startswith("../")

    @property
    def may_be_folder(self) -> bool:
        """True if kustomize accepts a folder in this field."""
        return self.field in (*LISTS, *_PLUGINS)


def is_remote(text: str) -> bool:
    """True for a URL, a Git address, and the short forms that kustomize would fetch from a host."""
    return bool(_SCHEME.match(text)) or (
        bool(_HOST.match(text)) and not text.endswith((".yaml", ".yml"))
    )


def references(kustomization: Node, folder: str) -> Iterator[Reference]:
    """Yield every reference of a kustomization that lies in *folder*."""
    for name in (*LISTS, *_FILES):
        yield from _texts(documents.get(kustomization, name), name, folder)
    for name in _PLUGINS:
        for reference in _texts(documents.get(kustomization, name), name, folder):
            if _is_inline(reference.text):
                yield from _plugin(reference)
            else:
                yield reference
    for reference in _texts(documents.get(kustomization, "patchesStrategicMerge"), "", folder):
        if not _is_inline(reference.text):
            yield Reference("patchesStrategicMerge", reference.text, reference.line, folder)
    for name in ("patches", "patchesJson6902", "replacements"):
        for item in documents.items(documents.get(kustomization, name)):
            yield from _texts(documents.get(item, "path"), name, folder)
    yield from _texts(documents.get(kustomization, "openapi", "path"), "openapi", folder)
    for name in ("configMapGenerator", "secretGenerator"):
        for item in documents.items(documents.get(kustomization, name)):
            yield from _sources(item, name, folder)


def _texts(node: Node | None, name: str, folder: str) -> Iterator[Reference]:
    """Yield a reference for a text, or for each text of a list."""
    for item in [node] if isinstance(node, Scalar) else documents.items(node):
        text = documents.text_of(item).strip()
        if text:
            yield Reference(name, text, documents.line_of(item), folder)


def _sources(generator: Node, name: str, folder: str) -> Iterator[Reference]:
    """Yield the files of a generator: `[key=]path`, or files of variables."""
    for key in (*_SOURCES, "env"):
        for found in _texts(documents.get(generator, key), name, folder):
            path = found.text.partition("=")[2] if key == "files" and "=" in found.text else ""
            yield Reference(name, path or found.text, found.line, folder)


def _is_inline(text: str) -> bool:
    return "\n" in text or text.startswith("{") or ": " in text


def _plugin(inline: Reference) -> Iterator[Reference]:
    """Yield the references of a plugin's inline configuration that lead out of the tree.

    Others are left out: they cannot be told from values that are paths of fields.
    """
    try:
        parsed = documents.parse(inline.text)
    except Undecidable:
        return
    for document in parsed.documents:
        for node in documents.walk(document):
            for key, _, value in documents.entries(node):
                for found in _texts(value, inline.field, inline.folder) if key in _PATHS else ():
                    path = found.text.rpartition("=")[2]
                    outside = Reference(inline.field, path, inline.line, inline.folder)
                    if path.startswith("../") and outside.leads_out:
                        yield outside
