"""Places for the documents of the tests, and a short form of findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sopslab.policy import documents
from sopslab.policy.documents import Node
from sopslab.policy.findings import Hit
from sopslab.policy.recipients import Expected
from sopslab.policy.secrets import Place

ANYBODY = Expected(frozenset(), None)
Told = list[tuple[int, str, str]]


def place(
    path: str = "apps/a.yaml",
    *,
    in_tree: bool = False,
    for_flux: bool = False,
    expected: Expected = ANYBODY,
    files: Mapping[str, str | bytes] = {},
) -> Place:
    """Return a place in a tree with these *files* in it."""

    def read(name: str) -> bytes | None:
        content = files.get(name)
        return content.encode() if isinstance(content, str) else content

    return Place(path, in_tree, lambda: expected, read, for_flux=for_flux)


def document(text: str) -> Node:
    """Return the one document of a text."""
    parsed = documents.parse(text)
    assert not parsed.error_line
    (node,) = parsed.documents
    return node


def told(hits: Iterable[Hit]) -> Told:
    """Return line, rule and first word of each finding: the word names what is found, if any is."""
    return [(hit.line, hit.rule, hit.message.split()[0]) for hit in hits]
