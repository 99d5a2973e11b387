"""Check what the kustomizations of a pushed tree would have Flux do. Pure.

Flux builds for everybody in one process, one build after the other. So a tree is refused if it is
too large, if a kustomization names a place elsewhere, or if a build becomes too large when every
kustomization that names another one is followed. It is not decided here which fields name files:
every string counts, at any depth, except those that are values by their key.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sopslab.policy import documents
from sopslab.policy.documents import Node, Scalar
from sopslab.policy.findings import Finding, Hit, Undecidable
from sopslab.policy.sources import KUSTOMIZATION_NAMES

MAX_BYTES = 1024 * 1024
"""The most bytes that may be below `flux/`, and the most that one build may read."""
MAX_VISITS = 1000
"""The most files and folders that a build may visit; each counts as often as it is named."""

_IGNORED = ".sourceignore"
# What kustomize fetches: URLs, what it clones with git, and the short forms of both.
_REMOTE = re.compile(
    r"://|^https?:|^[a-z]+::|^gh:|^git@|^[a-z0-9_.-]+@[a-z0-9_.-]+:|^(?:www\.)?github\.com[/:]"
    r"|[?&](?:ref|version|timeout|submodules)=",
    re.IGNORECASE,
)
# Fields whose strings are values, whatever they look like.
_VALUES = frozenset(
    ("literals", "literal", "patch", "labels", "commonlabels", "annotations", "commonannotations")
)
# A plugin's configuration is itself built, and a build can put any address together.
_PLUGINS = frozenset(("generators", "transformers", "validators"))
# Fields that name objects: Flux decrypts these after the build.
_OBJECTS = frozenset(("resources", "bases", "components"))
_ENCRYPTED = b"ENC[AES256_GCM"


@dataclass(frozen=True)
class _Text:
    """A string of a kustomization that may name something, with its line and its field."""

    text: str
    line: int
    field: str

    @property
    def paths(self) -> tuple[str, ...]:
        """What the text may name: the text itself, and the file in `key=file`."""
        before, equals, after = self.text.partition("=")
        return (self.text, after) if equals and "/" not in before else (self.text,)


def is_remote(text: str) -> bool:
    """Return whether kustomize would look for *text* outside of the tree."""
    return "\n" not in text and bool(_REMOTE.search(text.strip()))


def check(tree: Mapping[str, bytes], root: str, commit: str) -> list[Finding]:
    """Return, sorted, the reasons why a tree may not be built.

    *tree* has the content of every file below `flux/` by its path, *root* is the folder that Flux
    builds.
    """
    size = sum(map(len, tree.values()))
    if size > MAX_BYTES:
        hit = Hit(1, "kustomize-too-much", f"more than {MAX_BYTES // 1024} KiB below flux/")
        return [hit.at("flux", commit)]
    found: list[Finding] = []
    named: dict[str, list[_Text]] = {}
    for path in tree:
        folder, name = posixpath.split(path)
        if name == _IGNORED:
            found.append(Hit(1, "source-ignore", "hides files from Flux").at(path, commit))
        if name not in KUSTOMIZATION_NAMES:
            continue
        try:
            texts, hits = _read(tree[path])
        except Undecidable as error:
            texts, hits = [], [Hit(1, "unreadable", f"{error}, so no build of it can be judged")]
        named.setdefault(folder, []).extend(texts)
        found += [hit.at(path, commit) for hit in hits]
    too_much = None if found else _too_much(tree, named, root)
    if too_much is not None:
        found.append(too_much.at(root, commit))
    return sorted(set(found))


def encrypted_sources(tree: Mapping[str, bytes]) -> list[str]:
    """Return the encrypted files that a build itself reads, so that Flux decrypts them before it.

    Without the key, nobody can tell the result of such a build. *tree* has to pass `check`.
    """
    found = set()
    for path in tree:
        folder, name = posixpath.split(path)
        for text in _read(tree[path])[0] if name in KUSTOMIZATION_NAMES else ():
            for named in text.paths if text.field not in _OBJECTS else ():
                target = posixpath.normpath(posixpath.join(folder, named))
                if _ENCRYPTED in tree.get(target, b""):
                    found.add(target)
    return sorted(found)


def _read(data: bytes) -> tuple[list[_Text], list[Hit]]:
    """Return the strings of a kustomization that may name something, and what is wrong with it.

    Raises Undecidable if it cannot be read as kustomize would read it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Undecidable("is not UTF-8") from None
    parsed = documents.parse(text)
    if parsed.error_line:
        raise Undecidable(f"is not valid YAML at line {parsed.error_line}")
    texts: list[_Text] = []
    hits: list[Hit] = []
    for document in parsed.documents:
        for node in documents.walk(document):
            if node.tag not in documents.PLAIN_TAGS:
                raise Undecidable(f"has a tag at line {documents.line_of(node)}")
        for key, at, value in documents.entries(document):
            field = key.lower()
            if field in _PLUGINS and documents.children(value):
                hits.append(Hit(documents.line_of(at), "kustomize-plugin", "runs plugins"))
            if field not in _VALUES:
                texts += _texts(value, field)
    for found in texts:
        if any(map(is_remote, found.paths)):
            message = "names a file or a base that is not in the repository"
            hits.append(Hit(found.line, "kustomize-remote", message))
    return texts, hits


def _texts(root: Node, field: str) -> Iterator[_Text]:
    """Yield the strings under *root* that may name something, each node once."""
    for node in documents.walk(root, _naming):
        if isinstance(node, Scalar) and "\n" not in node.value.strip():
            yield _Text(node.value.strip(), documents.line_of(node), field)


def _naming(node: Node) -> list[Node]:
    """Return the items, or the values of a mapping, that may name something."""
    if isinstance(node, documents.Sequence):
        return list(node.value)
    return [
        value
        for key, _, value in documents.entries(node)
        if key.lower() not in _VALUES or _names_something(key, value)
    ]


def _names_something(key: str, value: Node) -> bool:
    """Return whether the field is `patch` but not a text, so that it may name something."""
    return key.lower() == "patch" and not isinstance(value, Scalar)


def _too_much(
    tree: Mapping[str, bytes], named: Mapping[str, Sequence[_Text]], root: str
) -> Hit | None:
    """Return a finding if a build of *root* visits or reads too much, or goes in a circle."""
    folders = {folder for path in tree for folder in _above(path)}
    costs: dict[str, tuple[int, int]] = {}
    entered: set[str] = set()

    def ways(folder: str) -> Iterator[str]:
        for found in named[folder]:
            for path in found.paths:
                target = posixpath.normpath(posixpath.join(folder, path))
                if target in tree or (target in folders and target in named):
                    yield target

    # Without a kustomization, Flux makes one up of what is there: everything is counted then.
    starts = [root] if root in named else [*tree, *named]
    stack = [(start, False) for start in starts]
    while stack:
        place, left = stack.pop()
        if place in tree:
            costs[place] = (1, len(tree[place]))
        elif left:
            entered.discard(place)
            parts = [costs[way] for way in ways(place)]
            visits, size = 1 + sum(part[0] for part in parts), sum(part[1] for part in parts)
            # Beyond the limit, the exact figure does not matter.
            costs[place] = (min(visits, MAX_VISITS + 1), min(size, MAX_BYTES + 1))
        elif place in entered:
            return Hit(1, "kustomize-too-much", "kustomizations name one another in a circle")
        elif place not in costs:
            entered.add(place)
            stack.append((place, True))
            stack.extend((way, False) for way in ways(place))
    visits = sum(costs[start][0] for start in starts)
    size = sum(costs[start][1] for start in starts)
    if visits > MAX_VISITS:
        return Hit(1, "kustomize-too-much", f"a build of more than {MAX_VISITS} steps")
    if size > MAX_BYTES:
        message = f"a build that reads more than {MAX_BYTES // 1024} KiB"
        return Hit(1, "kustomize-too-much", message)
    return None


def _above(path: str) -> Iterator[str]:
    """Yield the folders that a path lies in."""
    while path := posixpath.dirname(path):
        yield path
