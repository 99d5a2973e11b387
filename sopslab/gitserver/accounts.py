"""Who may log in: password hashes in a file of htpasswd's format, which the lab writes."""

from __future__ import annotations

import base64
import ctypes
import hashlib
import hmac
import itertools
from pathlib import Path

from sopslab.model.passwords import essence


class Accounts:
    """The users of a file, which is read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._hashes: dict[str, str] = {}
        # By user, a digest of the right password: hashing a password takes milliseconds, and git
        # sends it three times for one push.
        self._right: dict[str, bytes] = {}

    def user(self, header: str) -> str | None:
        """Return the user that an `Authorization` header names, None if the password is wrong."""
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, typed = base64.b64decode(given.strip(), validate=True).partition(b":")
            name = user.decode("ascii")
        except ValueError:
            return None
        self._read()
        password = essence(typed)
        if b"\0" in password:
            return None
        hashed = self._hashes.get(name)
        if hashed is None:
            self._take_as_long(password)
            return None
        digest = hashlib.sha256(hashed.encode() + b"\0" + password).digest()
        if hmac.compare_digest(self._right.get(name, b""), digest):
            return name
        if not hmac.compare_digest(_crypt(password, hashed.encode()), hashed.encode()):
            return None
        self._right[name] = digest
        return name

    def _take_as_long(self, password: bytes) -> None:
        """Spend the time of a hash, so that the time of an answer does not tell who is a user."""
        for hashed in itertools.islice(self._hashes.values(), 1):
            _crypt(password, hashed.encode())

    def _read(self) -> None:
        try:
            about = self._file.stat()
            seen = (about.st_ino, about.st_mtime_ns, about.st_size)
            if seen == self._seen:
                return
            lines = self._file.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            lines, seen = [], (0, 0, 0)
        pairs = (line.partition(":") for line in lines)
        self._hashes = {name: hashed for name, _, hashed in pairs if hashed.startswith("$2")}
        self._right, self._seen = {}, seen


def _crypt(password: bytes, hashed: bytes) -> bytes:
    # Python's own module for this was removed in 3.13.
    return _libcrypt(password, hashed) or b""


_libcrypt = ctypes.CDLL("libcrypt.so.1").crypt
_libcrypt.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
_libcrypt.restype = ctypes.c_char_p
