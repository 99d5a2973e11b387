"""The progress of a class on record: what changed, a line each, in the order of time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from sopslab.model.wire import decode, encode

HELP = "help"
"""What stands in the place of a step where a learner asks for help, or no longer does."""


@dataclass(frozen=True)
class Change:
    """A step of a learner that is another way than before, or the learner's mark for help.

    `at` is when it was seen, in seconds since 1970. `progress` is `yes` or `no`: what could not be
    seen for a while is no change. `stuck` marks a step that the learner will not get over alone.
    """

    at: float
    seat: str
    step: str
    progress: str
    stuck: bool = False


def as_lines(changes: Iterable[Change]) -> bytes:
    """Return changes as they are kept: one JSON object a line."""
    return b"".join(
        json.dumps(encode(one), separators=(",", ":")).encode() + b"\n" for one in changes
    )


def in_lines(text: bytes) -> list[Change]:
    """Return the changes in such lines. A line that holds none, such as the half of one that a
    process left which was killed, is left out."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            found.append(decode(Change, json.loads(line)))
    return found
