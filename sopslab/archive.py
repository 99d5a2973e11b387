"""Trees of files on their way to a host: one text that a command reads on standard input."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping

from sopslab.render import RenderedFile

Tree = Mapping[str, RenderedFile]


def pack(tree: Tree) -> str:
    """Return `tree` as a base64-encoded tar archive, for `base64 -d | tar -x`.

    The same tree gives the same text: times and owners are left out.
    """
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in sorted(tree):
            member = tarfile.TarInfo(path)
            member.size = len(tree[path].content)
            member.mode = 0o755 if tree[path].executable else 0o644
            tar.addfile(member, io.BytesIO(tree[path].content))
    return base64.encodebytes(buffer.getvalue()).decode()


def digest(tree: Tree) -> str:
    """Return the SHA-256 of the files of `tree` and of which of them are executable.

    It is what the fact `TreeDigest` counts on a host.
    """
    paths = sorted(tree, key=lambda path: f"./{path}".encode())
    sums = [f"{hashlib.sha256(tree[path].content).hexdigest()}  ./{path}\n" for path in paths]
    executable = [f"./{path}\n" for path in paths if tree[path].executable]
    return hashlib.sha256("".join([*sums, *executable]).encode()).hexdigest()
