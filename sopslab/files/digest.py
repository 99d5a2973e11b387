"""The digest of a tree of files: the same where the tree is made and where it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping


def tree_digest(sums: Mapping[str, str], executable: Collection[str]) -> str:
    """Return the digest of a tree of files.

    + sums: the SHA-256 of each file, by its path in the tree
    + executable: the paths of the files that may be executed
    """
    paths = sorted(sums, key=lambda path: f"./{path}".encode("utf-8", "surrogateescape"))
    lines = [f"{sums[path]}  ./{path}\n" for path in paths]
    lines += [f"./{path}\n" for path in paths if path in executable]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
