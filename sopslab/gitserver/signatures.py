"""Refuse signed pushes before git reads them.

git writes the certificate of a signed push among a repository's objects before any hook runs,
whether or not it has offered to take one, and no limit of a repository counts it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from sopslab.gitserver.protocol import Refused

_LENGTH = re.compile(rb"[0-9A-Fa-f]{4}")
# git compares a line up to its first NUL, and without its line feed.
_CERTIFICATE = re.compile(rb"push-cert(?:[\0\n]|\Z)")
_LONGEST_NAME = len(b"push-cert\n")


async def unsigned(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the body of a push; each line of its commands only after it was looked at.

    Raises Refused if it is signed.
    """
    held, over = bytearray(), False
    async for piece in pieces:
        if over:
            yield piece
            continue
        held += piece
        looked_at, over = _looked_at(held)
        if looked_at:
            yield bytes(held[:looked_at])
            del held[:looked_at]
    if held:
        yield bytes(held)


def _looked_at(data: bytearray) -> tuple[int, bool]:
    """Return how many bytes may go on to git, and whether the commands end among these.

    Raises Refused if one of the lines begins a certificate.
    """
    position = 0
    while len(data) - position >= 4:
        length = _length(data[position : position + 4])
        if length < 4:
            return len(data), True
        end = position + length
        if end > len(data):
            break
        begins = data[position + 4 : min(end, position + 4 + _LONGEST_NAME)]
        if _CERTIFICATE.match(begins):
            raise Refused(
                "403 Forbidden", "refused: signed pushes are not taken here. Push without --signed"
            )
        position = end
    return position, False


def _length(digits: bytearray) -> int:
    """Return the length of a line; below 4, no line follows, or none that git would read."""
    return int(digits, 16) if _LENGTH.fullmatch(digits) else 0
