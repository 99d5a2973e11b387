"""Tar archives of root's files."""

from __future__ import annotations

import io
import posixpath
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath


@contextmanager
def new_tar(path: Path, base: Path | None = None) -> Iterator[Tar]:
    """Yield a tar archive that is being written.

    + base: the archive that it begins as
    """
    if base is not None:
        shutil.copyfile(base, path)
    with tarfile.open(path, "w" if base is None else "a") as packed:
        yield Tar(packed)


class Tar:
    """A tar archive in which all that is added is root's, and nothing says when it was made.

    Parent folders are added by themselves.
    """

    def __init__(self, packed: tarfile.TarFile) -> None:
        self._tar = packed
        self._known = {".", *(posixpath.normpath(name) for name in packed.getnames())}

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder."""
        self._add(tarfile.DIRTYPE, name, mode)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(tarfile.SYMTYPE, name, 0o777, target=target)

    def text(self, name: str, content: str | bytes) -> None:
        """Add a file with this content."""
        data = content.encode() if isinstance(content, str) else content
        self._add(tarfile.REGTYPE, name, 0o644, data)

    def file(self, name: str, source: Path, mode: int | None = None) -> None:
        """Add a copy of a file, with its mode or another."""
        self._add(
            tarfile.REGTYPE, name, source.stat().st_mode & 0o777 if mode is None else mode, source
        )

    def _add(
        self, kind: bytes, name: str, mode: int, content: bytes | Path = b"", target: str = ""
    ) -> None:
        for parent in reversed(PurePosixPath(name).parents):
            if str(parent) not in self._known:
                self.folder(str(parent))
        self._known.add(name)
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.linkname = kind, mode, target
        if isinstance(content, Path):
            member.size = content.stat().st_size
            with content.open("rb") as file:
                self._tar.addfile(member, file)
        else:
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
