"""What the board knows at a moment. Every page is made from such a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sopslab.checks.board.history import Latest
from sopslab.lab.board import Found
from sopslab.model.progress import Change


@dataclass(frozen=True)
class State:
    """What was seen last, and what is on record.

    `found` is the result of the last look that succeeded, None before the first; `seen` is the time
    of that look. `trouble` says in a sentence why the last look failed, "" if it did not. `begun`
    is when the lesson began. Times are in seconds since 1970. Two states with the same `version`
    look the same.
    """

    version: str
    now: float
    found: Found | None = None
    seen: float = 0.0
    trouble: str = ""
    begun: float = 0.0
    changes: Sequence[Change] = ()
    latest: Latest = field(default_factory=dict)
