"""Which files have to be encrypted, by their name or by a creation rule.

A name with `.sops.` in it promises ciphertext. A creation rule often covers more files than it is
meant for (`.*\\.yaml`). So it counts only if its pattern speaks of secrets or contains the file's
name, and not for Kubernetes objects, which are judged by their kind.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from sopslab.policy import documents, placeholders, sops
from sopslab.policy.documents import Node
from sopslab.policy.later import later

_NAMED = later(
    r"(?:^|/)[^/]+\.(?:sops|enc|encrypted)\."
    r"(?:ya?ml|json|env|ini|toml|txt|conf|cfg|properties|tfvars|csv|xml|pem|key)$"
    r"|(?:^|/)[^/]+\.sops$"
)
_DATA = later(r"\.(?:ya?ml|json|env|ini|toml|txt|conf|cfg|properties|tfvars|key)$")
_SPEAKS = later(r"sops|secret|encrypt|\benc\b|creds|credential|private|vault", re.IGNORECASE)
_NEVER = later(
    r"(?:^|/)(?:kustomization\.ya?ml|kustomization|chart\.ya?ml|package\.json|renovate\.json5?|"
    r"[^/]*\.schema\.json|\.[^/]*)$"
)
_OBJECT = ("apiVersion", "kind", "metadata", "type")


def by_name(path: str) -> bool:
    """Return whether a file's name, in lower case, says that it is encrypted."""
    name = posixpath.basename(path)
    return not name.startswith(".sops.") and _NAMED.search(path) is not None


def may_be_ruled(path: str) -> bool:
    """Return whether a creation rule could speak of the file at *path* at all."""
    lowered = path.lower()
    return bool(_DATA.search(lowered)) and not _NEVER.search(lowered)


def by_rule(path: str, pattern: str) -> bool:
    """Return whether a creation rule with *pattern*, which covers *path*, means this very file."""
    if not may_be_ruled(path):
        return False
    literal = pattern.replace("\\", "")
    return bool(_SPEAKS.search(literal)) or posixpath.basename(path) in literal


def plain_line(document: Node, selects: Callable[[tuple[str, ...]], bool] | None) -> int:
    """Return the line of the first value in plain text, 0 if there is none.

    A template is not a value. A document with any ciphertext in it counts as encrypted, so the
    result is 0.

    + selects: tells which paths a creation rule would encrypt; None selects all
    """
    first = 0
    if documents.get(document, "creation_rules") is not None:
        # A configuration of sops, under another name.
        return 0
    is_object = is_named(document)
    for key, _, value in documents.entries(document):
        if is_object and key in _OBJECT:
            continue
        for path, leaf in documents.leaves(value):
            text = documents.text_of(leaf)
            if sops.is_encrypted(text):
                return 0
            skip = not text or placeholders.is_template(text)
            if not first and not skip and (selects is None or selects((key, *path))):
                first = documents.line_of(leaf)
    return first


def is_named(document: Node) -> bool:
    """Return whether *document* is a Kubernetes object: it has a kind and a version."""
    found = documents.get(document, "kind"), documents.get(document, "apiVersion")
    return all(documents.text_of(node) for node in found)
