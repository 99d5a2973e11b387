"""Strict, bounded reading of YAML and JSON into node trees that know their lines.

Nodes are PyYAML's: nothing is constructed, so no tag can run code, duplicate keys stay visible
and an aliased node is one object. Bounds: libyaml stops at 1,000 levels; what aliases would
expand to is counted, not expanded.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from sopslab.model.yaml_loader import LOADER
from sopslab.policy.findings import Undecidable

MAX_TEXT = 5 * 1024 * 1024
"""Flux decrypts no larger file (kustomize-controller, maxEncryptedFileSize)."""
MAX_EXPANDED = 1_000_000
"""Nodes a document may have once its aliases are expanded."""

Node = yaml.nodes.Node
Mapping = yaml.nodes.MappingNode
Sequence = yaml.nodes.SequenceNode
Scalar = yaml.nodes.ScalarNode

STRING = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"
MERGE = "tag:yaml.org,2002:merge"
_BINARY = "tag:yaml.org,2002:binary"
_NULLS = ("", "~", "null", "Null", "NULL")
PLAIN_TAGS = tuple(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)


@dataclass(frozen=True)
class Parsed:
    """The documents that could be read, and the line at which reading stopped (0: it did not)."""

    documents: tuple[Node, ...]
    error_line: int = 0


def line_of(node: Node) -> int:
    """Return the 1-based line at which *node* starts."""
    return int(node.start_mark.line) + 1


def parse(text: str) -> Parsed:
    """Read all documents of *text*, YAML or JSON.

    Raises Undecidable for text over 5 MiB, nested too deeply, or expanding without bound.
    """
    if len(text) > MAX_TEXT:
        raise Undecidable("is larger than 5 MiB")
    documents, error = _compose(text)
    if error is not None:
        documents, error = _as_go_reads(text, documents, error)
    if "nest" in str(getattr(error, "problem", "")):
        raise Undecidable("is nested too deeply") from None
    mark = getattr(error, "problem_mark", None)
    error_line = 0 if error is None else int(mark.line) + 1 if mark else 1
    if error_line and text.lstrip()[:1] in ("{", "["):
        from_json = _parse_json(text)
        if from_json:
            documents, error_line = from_json, 0
    if "*" in text:
        for document in documents:
            _refuse_bombs(document)
    return Parsed(tuple(documents), error_line)


_MAX_REREAD = 16 * 1024 * 1024
"""How many characters, in all, are read again for a text that only go-yaml accepts."""
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_APOSTROPHE = re.compile(r"(\\\\)|\\'")
_FILLED = re.compile(r"\S")


def _compose(text: str, repeats: bool = False) -> tuple[list[Node], Exception | None]:
    """Return the documents of *text*, and the error at which reading stopped."""
    documents: list[Node] = []
    try:
        if repeats:
            composer = _Composer(text)
            while composer.check_node():
                node = composer.get_node()
                if node is not None:
                    documents.append(node)
        else:
            documents.extend(yaml.compose_all(text, Loader=LOADER))
    except RecursionError:
        raise Undecidable("is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        # Lone surrogates, as they come from JSON escapes, cannot be handed to libyaml.
        return documents, error
    return documents, None


def _as_go_reads(
    text: str, documents: list[Node], error: Exception | None
) -> tuple[list[Node], Exception | None]:
    """Read *text* again as long as the *error* is about something that go-yaml accepts.

    go-yaml lets an anchor be defined again (aliases then mean the latest), and an apostrophe be
    escaped in a double-quoted string. Only what libyaml itself took for such a string is changed.
    """
    left, repeats = _MAX_REREAD, False
    while left > 0 and isinstance(error, yaml.MarkedYAMLError):
        if "duplicate anchor" in str(error.context):
            repeats = True
        elif "unknown escape" in str(error.problem):
            mark = error.context_mark
            quoted = _QUOTED.match(text, mark.index) if mark else None
            plain = _APOSTROPHE.sub(lambda found: found[1] or "'", quoted[0]) if quoted else ""
            if quoted is None or plain == quoted[0]:
                break
            text = text[: quoted.start()] + plain + text[quoted.end() :]
        else:
            break
        left -= len(text)
        documents, error = _compose(text, repeats)
    return documents, error


class _Events:
    """The events of a YAML text in which each anchor gets a unique name.

    An alias gets the name of the latest anchor that it can mean.
    """

    def __init__(self, text: str) -> None:
        self._loader = LOADER(text)
        self._latest: dict[str, str]
        self._last: Any = None

    def peek(self) -> Any:
        event = self._loader.peek_event()
        if event is not self._last:
            self._last, anchor = event, getattr(event, "anchor", None)
            if isinstance(event, yaml.events.DocumentStartEvent):
                self._latest = {}
            elif isinstance(event, yaml.events.AliasEvent):
                event.anchor = self._latest.get(str(anchor))
            elif anchor is not None:
                event.anchor = self._latest[anchor] = f"{anchor} {event.start_mark.index}"
        return event

    def check(self, *kinds: type[Any]) -> bool:
        event = self.peek()
        return event is not None and (not kinds or isinstance(event, kinds))

    def get(self) -> Any:
        self.peek()
        return self._loader.get_event()


class _Composer(yaml.composer.Composer, yaml.resolver.Resolver):
    """PyYAML's composer in Python, reading from `_Events`."""

    def __init__(self, text: str) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.resolver.Resolver.__init__(self)
        events = _Events(text)
        self.peek_event, self.check_event, self.get_event = events.peek, events.check, events.get


def _parse_json(text: str) -> list[Node]:
    """Return the concatenated JSON values of *text* as nodes, or nothing if it is not JSON.

    JSON that is not YAML (tabs as indentation, ``\\/``, surrogate pairs) comes here.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs, strict=False)
    lines = _Lines(text)
    documents: list[Node] = []
    position = 0
    try:
        while start := _FILLED.search(text, position):
            value, position = decoder.raw_decode(text, start.start())
            documents.append(lines.document(value, start.start()))
    except ValueError:
        return []
    except RecursionError:
        raise Undecidable("is nested too deeply") from None
    return documents


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, duplicates included."""


class _Lines:
    """Turns JSON values into nodes; a member's line is where its key occurs next in the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = self._line = 0

    def document(self, value: Any, position: int) -> Node:
        """Return *value*, which begins at *position*, as a node."""
        self._go(position)
        return self.node(value)

    def _advance(self, key: str) -> None:
        found = self._text.find(json.dumps(key, ensure_ascii=False), self._position)
        if found >= 0:
            self._go(found + 1)

    def _go(self, position: int) -> None:
        first, last = sorted((self._position, position))
        breaks = self._text.count("\n", first, last)
        self._line += breaks if position == last else -breaks
        self._position = position

    def node(self, value: Any) -> Node:
        """Return *value* as a node."""
        mark = yaml.Mark("", 0, self._line, 0, None, 0)
        if isinstance(value, _Pairs):
            pairs: list[tuple[Node, Node]] = []
            for key, member in value:
                self._advance(key)
                pairs.append((self.node(key), self.node(member)))
            return Mapping("tag:yaml.org,2002:map", pairs, mark)
        if isinstance(value, list):
            items = [self.node(item) for item in value]
            return Sequence("tag:yaml.org,2002:seq", items, mark)
        if value is None:
            return Scalar(NULL, "", mark)
        if isinstance(value, str):
            return Scalar(STRING, value, mark)
        return Scalar("tag:yaml.org,2002:int", json.dumps(value), mark)


def children(node: Node) -> list[Node]:
    """Return the keys and values, or the items, of *node*."""
    if isinstance(node, Mapping):
        return [part for pair in node.value for part in pair]
    return items(node)


def items(node: Node | None) -> list[Node]:
    """Return the items of a list. Anything but a list has none."""
    return list(node.value) if isinstance(node, Sequence) else []


def walk(root: Node, below: Callable[[Node], list[Node]] = children) -> Iterator[Node]:
    """Yield every node under *root* once, however often it is aliased.

    + below: returns the parts of a node that are walked, too
    """
    seen: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        stack.extend(reversed(below(node)))


def _refuse_bombs(root: Node) -> None:
    """Raise Undecidable if the aliases of *root* form a cycle or expand beyond the bound."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack: list[tuple[Node, bool]] = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children(node))
            if sizes[id(node)] > MAX_EXPANDED:
                raise Undecidable("expands to too much through aliases")
            continue
        if id(node) in sizes:
            continue
        open_nodes.add(id(node))
        stack.append((node, True))
        for child in children(node):
            if id(child) in open_nodes:
                raise Undecidable("contains itself through an alias")
            stack.append((child, False))


def entries(node: Node | None) -> list[tuple[str, Node, Node]]:
    """Return (key, key node, value) of a mapping, merge keys (``<<``) resolved, own keys first.

    Anything but a mapping has no entries. A key that is not a scalar appears as the empty string.
    """
    if not isinstance(node, Mapping):
        return []
    found, pending = _own_entries(node)
    if not pending:
        return found
    taken = {key for key, _, _ in found}
    # A mapping that was merged once has no key to add: aliases make no more work than they have
    # nodes.
    merged = {id(node)}
    pending.reverse()
    while pending:
        other = pending.pop()
        if not isinstance(other, Mapping) or id(other) in merged:
            continue
        merged.add(id(other))
        own, below = _own_entries(other)
        added = [entry for entry in own if entry[0] not in taken]
        found += added
        taken.update(key for key, _, _ in added)
        pending.extend(reversed(below))
    return found


def _own_entries(node: Mapping) -> tuple[list[tuple[str, Node, Node]], list[Node]]:
    """Return the entries that are in a mapping itself, and the nodes that it merges."""
    own: list[tuple[str, Node, Node]] = []
    merged: list[Node] = []
    for key, value in node.value:
        if key.tag == MERGE or (isinstance(key, Scalar) and key.value == "<<"):
            merged.extend(value.value if isinstance(value, Sequence) else [value])
        else:
            own.append((_text(key) if isinstance(key, Scalar) else "", key, value))
    return own, merged


def get(node: Node | None, *keys: str) -> Node | None:
    """Return the value under *keys* in nested mappings; of a duplicate key, the last value."""
    for wanted in keys:
        node = next((value for key, _, value in reversed(entries(node)) if key == wanted), None)
    return node


def fields(node: Node | None) -> dict[str, Node]:
    """Return the values of a mapping by key; own keys hide merged ones, and the last key counts."""
    return {key: value for key, _, value in entries(node)}


def text_of(node: Node | None) -> str:
    """Return the text of a scalar that is not null, else the empty string."""
    if isinstance(node, Scalar) and not is_null(node):
        return _text(node)
    return ""


def _text(node: Scalar) -> str:
    """Return the text of a scalar as Go's YAML reads it: binary data is decoded from base64."""
    text = str(node.value)
    if node.tag != _BINARY:
        return text
    try:
        return base64.b64decode(text).decode(errors="replace")
    except (binascii.Error, ValueError):
        return text


def is_null(node: Node) -> bool:
    """True for null in any of its spellings; a tag alone does not turn text into null."""
    return isinstance(node, Scalar) and node.tag == NULL and node.value in _NULLS


def has_aliases(root: Node) -> bool:
    """Return whether a node under *root* occurs more than once."""
    parts = [len(children(node)) for node in walk(root)]
    return sum(parts) >= len(parts)


def tagged(root: Node) -> Iterator[Node]:
    """Yield every node under *root* with a tag that is not plain, or with a null tag on a text."""
    for node in walk(root):
        odd_null = node.tag == NULL and not is_null(node)
        if node.tag not in PLAIN_TAGS or odd_null:
            yield node


def duplicate_keys(root: Node) -> Iterator[tuple[str, int]]:
    """Yield (key, line) for each repetition of a key within one mapping."""
    for node in walk(root):
        if isinstance(node, Mapping):
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, Scalar) and key.tag != MERGE:
                    if key.value in seen:
                        yield key.value, line_of(key)
                    seen.add(key.value)


def leaves(node: Node) -> Iterator[tuple[tuple[str, ...], Scalar]]:
    """Yield (path, scalar) of every leaf under *node*, each scalar object once."""
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], Node]] = [((), node)]
    while stack:
        path, current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, Scalar):
            yield path, current
        elif isinstance(current, Sequence):
            stack.extend(
                ((*path, str(index)), item)
                for index, item in reversed(list(enumerate(current.value)))
            )
        else:
            stack.extend(((*path, key), value) for key, _, value in reversed(entries(current)))
