"""The recorded progress of a class: one line for each change, in the order of time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from sopslab.model.wire import decode, encode

HELP = "help"
"""This takes the place of a step in the record of a learner who begins or stops asking for help."""


@dataclass(frozen=True)
class Change:
    """A change in one of a learner's steps, or in the learner's mark for help.

    `at` is when the change was seen, in seconds since 1970. `progress` is the new state, `yes` or
    `no`. That a step could not be seen for a while is no change. `stuck` marks a step that the
    learner will not get past alone.
    """

    at: float
    seat: str
    step: str
    progress: str
    stuck: bool = False


def as_lines(changes: Iterable[Change]) -> bytes:
    """Return changes in the form of the record: one JSON object on each line."""
    return b"".join(
        json.dumps(encode(one), separators=(",", ":")).encode() + b"\n" for one in changes
    )


def in_lines(text: bytes) -> list[Change]:
    """Return the changes in the text of a record. Other lines are left out, such as an incomplete
    one that a killed process has written."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            found.append(decode(Change, json.loads(line)))
    return found
