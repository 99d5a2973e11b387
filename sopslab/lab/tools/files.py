"""Files and folders that appear complete, whenever the process that writes them is killed."""

from __future__ import annotations

import base64
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(beside: str | Path) -> Iterator[Path]:
    """Yield a new private folder beside a path, so that what is made in it can be renamed there.

    What a killed process leaves of it is called `.new.*`, and the next run sweeps it up.
    """
    folder = Path(tempfile.mkdtemp(prefix=".new.", dir=Path(beside).parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private() -> Iterator[None]:
    """Have what this process and its programs make in the block be for its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def write(path: str | Path, content: bytes | str, mode: int = 0o600) -> None:
    """Have a file with this content and mode: complete, or as it was before."""
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(new).replace(path)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def read(path: str | Path) -> bytes | None:
    """Return a file's content, None where it is not there or cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def unpack(packed: str, folder: str | Path) -> None:
    """Have the files of a packed tree in a folder: as `sopslab.files.archive.pack` packs it."""
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed)), mode="r:gz") as tree:
        for member in tree.getmembers():
            content = tree.extractfile(member)
            if content is not None:
                file = Path(folder, member.name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
                file.chmod(member.mode)


def archive(path: str | Path, to: str | Path) -> None:
    """Move something to where nobody looks for it; nothing where it is not there."""
    if os.path.lexists(path):
        Path(path).rename(to)


def has_content(path: str | Path) -> bool:
    """Whether a file is there and not empty."""
    try:
        return Path(path).stat().st_size > 0
    except OSError:
        return False
