"""The log: standard error, of which pyinfra shows a person only lines that are marked as ours."""

from __future__ import annotations

import sys

from sopslab.policy.printing import printable


def log(words: bytes) -> None:
    """Write what a program said. It is escaped, because some verbs do this work themselves, and
    have a terminal there."""
    sys.stderr.buffer.write(printable(words.decode(errors="backslashreplace")).encode())
    sys.stderr.buffer.flush()
