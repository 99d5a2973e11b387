"""The YAML of a repository, read once: documents with their lines, and what Kubernetes sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from sopslab.policy import documents, sops
from sopslab.policy.documents import Node
from sopslab.policy.findings import Undecidable
from sopslab.validation.tree import Tree

_KNOWN = {f"tag:yaml.org,2002:{name}" for name in ("bool", "float", "int", "null")}


def group_of(api_version: str) -> str:
    """Return the group of an apiVersion, empty for the core group."""
    return api_version.rpartition("/")[0]


@dataclass(frozen=True)
class Object:
    """A document of a file, or an item of a list in it."""

    path: str
    node: Node

    @property
    def line(self) -> int:
        """The line at which it starts."""
        return documents.line_of(self.node)

    @property
    def api_version(self) -> str:
        """Its apiVersion, empty without one."""
        return documents.text_of(documents.get(self.node, "apiVersion"))

    @property
    def kind(self) -> str:
        """Its kind, empty without one."""
        return documents.text_of(documents.get(self.node, "kind"))

    @property
    def name(self) -> str:
        """Its name, empty without one."""
        return self.text("metadata", "name")

    @property
    def namespace(self) -> str:
        """Its namespace, empty without one."""
        return self.text("metadata", "namespace")

    @property
    def is_typed(self) -> bool:
        """True if apiVersion and kind are there, and readable."""
        texts = (self.api_version, self.kind)
        return all(texts) and not any(map(sops.is_encrypted, texts))

    @property
    def is_encrypted(self) -> bool:
        """True if Flux would take it for encrypted by sops."""
        found = sops.metadata(self.node)
        return found is not None and bool(found.mac)

    def text(self, *keys: str) -> str:
        """Return the text under some keys, empty without one."""
        return documents.text_of(documents.get(self.node, *keys))

    @property
    def manifest(self) -> Any:
        """The object as plain Python values."""
        return plain(self.node)

    def line_at(self, *keys: str) -> int:
        """Return the line of the field at *keys*, or of the closest field above it that exists."""
        node, line = self.node, self.line
        for key in keys:
            found = None
            if isinstance(node, documents.Sequence):
                if key.isdigit() and int(key) < len(node.value):
                    found = node.value[int(key)]
                    line = documents.line_of(found)
            else:
                for name, key_node, value in documents.entries(node):
                    if name == key:
                        found, line = value, documents.line_of(key_node)
            if found is None:
                break
            node = found
        return line


def plain(node: Node) -> Any:
    """Return the value of a node.

    A type that only YAML knows, such as a time, becomes text, and so does what is none of its type.
    """
    if isinstance(node, documents.Mapping):
        return {key: plain(value) for key, _, value in documents.entries(node)}
    if isinstance(node, documents.Sequence):
        return [plain(item) for item in node.value]
    if node.tag not in _KNOWN or ":" in node.value:
        return node.value
    try:
        return yaml.constructor.SafeConstructor().construct_object(node)
    except (LookupError, ValueError):
        return node.value


def at(manifest: Any, *keys: str) -> Any:
    """Return what lies under some keys of an object, None if one of them is not there."""
    for key in keys:
        manifest = manifest.get(key) if isinstance(manifest, Mapping) else None
    return manifest


@dataclass(frozen=True)
class File:
    """A YAML file: its documents, and the line at which reading stopped (0: it did not)."""

    path: str
    text: str
    documents: tuple[Node, ...]
    error_line: int
    too_much: str = ""
    """Why it cannot be judged; empty if it can."""

    @cached_property
    def objects(self) -> list[Object]:
        """The documents that are mappings, with the items of a List instead of the List."""
        return list(self._objects())

    def _objects(self) -> Iterator[Object]:
        for node in self.documents:
            if not isinstance(node, documents.Mapping):
                continue
            whole = Object(self.path, node)
            items = documents.get(node, "items")
            if whole.kind.endswith("List") and isinstance(items, documents.Sequence):
                for item in items.value:
                    yield Object(self.path, item)
            else:
                yield whole


class Reader:
    """Reads the files of a tree, each once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._files: dict[str, File] = {}

    def file(self, path: str) -> File:
        """Return a file of the tree, parsed."""
        if path not in self._files:
            text = (self.tree.read(path) or b"").decode("utf-8-sig", "replace")
            try:
                parsed = documents.parse(text)
                self._files[path] = File(path, text, parsed.documents, parsed.error_line)
            except Undecidable as error:
                self._files[path] = File(path, text, (), 0, str(error))
        return self._files[path]

    def objects(self, paths: Iterator[str] | list[str]) -> Iterator[Object]:
        """Yield the objects of some files."""
        for path in paths:
            yield from self.file(path).objects
