"""What the board knows at a moment, from which every page is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sopslab.checks.board.history import Latest
from sopslab.lab.board import Found
from sopslab.model.progress import Change


@dataclass(frozen=True)
class State:
    """What was seen last, and what is on record.

    `found` is None before anything was seen. `trouble` says in a sentence why the last look failed,
    and then `found` is of `seen`, before that; times are in seconds since 1970. `begun` is when the
    lesson began. Two states with the same `version` are the same for whoever looks.
    """

    version: str
    now: float
    found: Found | None = None
    seen: float = 0.0
    trouble: str = ""
    begun: float = 0.0
    changes: Sequence[Change] = ()
    latest: Latest = field(default_factory=dict)
