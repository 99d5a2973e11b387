"""Files and folders that appear complete, whenever the process that writes them is killed."""

from __future__ import annotations

import base64
import errno
import functools
import hashlib
import io
import operator
import os
import shutil
import struct
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sopslab.errors import LabError


@contextmanager
def new_folder(beside: str | Path) -> Iterator[Path]:
    """Yield a new private folder beside a path, so that what is made in it can be renamed to that
    path.

    A folder that a killed process leaves is called `.new.*`, and the next run sweeps it up.
    """
    folder = Path(tempfile.mkdtemp(prefix=".new.", dir=Path(beside).parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Create what the block creates with the rights that a mask leaves. The mask counts for the
    whole process."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def private_folder(path: str | Path) -> None:
    """Make a folder, and the folders above it, where they are missing. The new ones are for this
    account alone."""
    path = Path(path)
    for folder in reversed([path, *path.parents]):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)


def remove(path: str | Path) -> None:
    """Remove a file, a link or a folder with all that is in it; do nothing if it is not there."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_all(path: str | Path) -> None:
    """Remove a file, a link or a folder, even if folders in it are read-only, as in Go's module
    cache.

    Raises OSError if something cannot be removed; everything else is removed all the same.
    """
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            Path(folder).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
    # If something is still there, this raises the reason.
    remove(path)


def write(path: str | Path, content: bytes | str, mode: int = 0o600) -> None:
    """Write a file with this content and mode. At any time, it is complete or as it was before."""
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        Path(new).replace(path)
    except BaseException as error:
        Path(new).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def new_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Yield a new private file, to be written piece by piece. When the block has ended, the file is
    on the disk and replaces the one at the path; if the block fails, the path stays as it was.

    A file that a killed process leaves is called `.<name>.new`, and the next process replaces it.
    """
    path = Path(path)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        # If somebody else has put a file there meanwhile, it is not written to.
        with open(new, "xb", opener=private_opener) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if not os.path.samestat(os.fstat(file.fileno()), new.lstat()):
                raise OSError(errno.EBUSY, "another process writes it, too", str(path))
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def private_opener(path: str, flags: int) -> int:
    """Open a file, which is for its owner alone if it is new: an `opener` of `open`."""
    return os.open(path, flags, 0o600)


def sync(path: str | Path) -> None:
    """Flush what a folder or a file holds to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: str | Path) -> bytes | None:
    """Return a file's content, None where it is not there or cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return None


def text(path: str | Path) -> str | None:
    """Return the text of a file, None where it is not there. Raises LabError if it cannot be
    read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeError) as error:
        raise LabError(f"{path} cannot be read: {error}") from None


def entries(folder: str | Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where it is not there or cannot be read."""
    try:
        return sorted(Path(folder).iterdir())
    except OSError:
        return []


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises OSError."""
    with Path(path).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def unpack(packed: str, folder: str | Path) -> None:
    """Unpack a tree into a folder, as `sopslab.files.archive.pack` has packed it."""
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed)), mode="r:gz") as tree:
        for member in tree.getmembers():
            content = tree.extractfile(member)
            if content is not None:
                file = Path(folder, member.name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.read())
                file.chmod(member.mode)


def archive(path: str | Path, to: str | Path) -> None:
    """Move something to where nobody looks for it; do nothing if it is not there."""
    if os.path.lexists(path):
        Path(path).rename(to)


def has_content(path: str | Path) -> bool:
    """Whether a file is there and not empty."""
    try:
        return Path(path).stat().st_size > 0
    except OSError:
        return False


# Kinds of entries of an access control list, as the kernel has them (linux/posix_acl.h).
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_ACL, _ACL_VERSION, _NOBODY = "system.posix_acl_access", struct.pack("<I", 2), 0xFFFFFFFF
_READ_AND_WRITE = 6


def admit(path: str | Path, uid: int) -> None:
    """Let one more user read and write a file, by an entry of its access control list.

    Raises OSError where the file system has no such lists.
    """
    entries = _acl(path)
    entries[_USER, uid] = _READ_AND_WRITE
    # The mask limits the rights of every entry but those for the owner and for all others.
    entries.pop((_MASK, _NOBODY), None)
    masked = (
        right for (kind, _), right in entries.items() if kind in (_USER, _OWNING_GROUP, _GROUP)
    )
    entries[_MASK, _NOBODY] = functools.reduce(operator.or_, masked)
    packed = (
        struct.pack("<HHI", kind, right, who) for (kind, who), right in sorted(entries.items())
    )
    os.setxattr(path, _ACL, _ACL_VERSION + b"".join(packed))


def _acl(path: str | Path) -> dict[tuple[int, int], int]:
    """Return the rights of each entry of a file's access control list, by the entry's kind and the
    user or group that it is for."""
    try:
        listed = os.getxattr(path, _ACL)
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        mode = Path(path).stat().st_mode
        kinds = ((_OWNER, 6), (_OWNING_GROUP, 3), (_OTHERS, 0))
        return {(kind, _NOBODY): mode >> shift & 7 for kind, shift in kinds}
    return {
        (kind, who): right
        for kind, right, who in struct.iter_unpack("<HHI", listed[len(_ACL_VERSION) :])
    }
