"""Pack a tree of files for a host into one text, which a command there reads on standard input."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
from collections.abc import Mapping

from sopslab.files.digest import tree_digest
from sopslab.files.render import RenderedFile

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


def beginning(tree: Tree, ref: str, name: str, email: str, message: str) -> bytes:
    """Return the first commit of a repository, for `git fast-import`; more files may be appended.

    The result is that of `git add` and `git commit`, but takes one process and makes one file
    instead of one for each object.

    + tree: the files of the commit
    + ref: the branch, as the name of a ref
    + name: who commits; the characters that git leaves out of a name are removed
    + email: the committer's address
    + message: what the commit says
    """
    author = re.sub(r"[<>\n]", "", name)
    parts = [
        f"commit {ref}\ncommitter {author} <{email}> now\n".encode(),
        _data(f"{message}\n".encode()),
    ]
    for path in sorted(tree):
        mode = "100755" if tree[path].executable else "100644"
        parts += [f"M {mode} inline {path}\n".encode(), _data(tree[path].content)]
    return b"".join(parts)


def _data(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


def digest(tree: Tree) -> str:
    """Return a SHA-256 of the files of `tree`, and of the list of those that are executable.

    `sopslab.lab.observe.folders.folder_digest` computes the same digest on a host.
    """
    sums = {path: hashlib.sha256(file.content).hexdigest() for path, file in tree.items()}
    return tree_digest(sums, [path for path, file in tree.items() if file.executable])
