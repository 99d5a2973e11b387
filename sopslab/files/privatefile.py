"""Files that only their owner can read, and that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

# The name of a file that is being written begins like this; a killed run leaves such files.
NEW = ".new."


def is_unfinished(name: str) -> bool:
    """Return whether a file or folder, by its name, was left unfinished by a killed run."""
    return name.startswith(NEW) or name.endswith(".new")


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600; an existing file is replaced as a whole. Raises OSError."""
    # `mkstemp` makes the file 0600: at no moment can anybody else read it.
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=NEW)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
