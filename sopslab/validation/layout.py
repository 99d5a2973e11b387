"""Copy a tree, as Flux gets it, to a folder of its own in which it can be built.

Nothing is built in place: a build writes files, and follows paths that lead out of the repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from sopslab.errors import LabError
from sopslab.validation.artifact import IGNORE_FILE
from sopslab.validation.marks import Marks, is_encrypted_file, without_metadata
from sopslab.validation.tree import Tree

_MAX_BYTES = 256 * 1024 * 1024


def write(
    tree: Tree, paths: Iterable[str], decrypted: Set[str], marks: Marks, folder: Path
) -> None:
    """Write files of a tree into *folder*, with a mark in place of each encrypted value.

    + decrypted: the files that Flux decrypts before it builds

    Raises LabError for more than 256 MiB, and if a file cannot be written.
    """
    size = 0
    for path in paths:
        # A source hands ignore files over, too, but after that they have no effect.
        if path.rpartition("/")[2] == IGNORE_FILE:
            continue
        data = tree.read(path) or b""
        size += len(data)
        if size > _MAX_BYTES:
            raise LabError(f"more than {_MAX_BYTES >> 20} MiB would have to be built")
        before = path in decrypted and is_encrypted_file(data)
        data = marks.marked(data, path)
        file = folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(without_metadata(data) if before else data)
        except OSError as error:
            raise LabError(f"what is built cannot be laid out: {error.strerror}") from None
