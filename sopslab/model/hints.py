"""The hints that were given in an environment: a file in the learner's bare repository.

The Git server's hook writes it for a learner at a seat, and `sopslab hint` for a learner who is
alone on a lab.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

# In the bare repository.
RECORD = "sops-lab-hints.json"


@dataclass(frozen=True)
class Given:
    """When hints were given, by step, in seconds since 1970; the first hint of a step is first."""

    times: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many hints were given in all."""
        return sum(map(len, self.times.values()))

    def of(self, step: str) -> int:
        """Return how many hints were given for a step."""
        return len(self.times.get(step, ()))

    def with_another(self, step: str, now: float) -> Given:
        """Return these hints and one more for a step."""
        return Given({**self.times, step: (*self.times.get(step, ()), now)})


def render_given(given: Given) -> str:
    """Return the text of the record of hints."""
    return json.dumps({step: list(times) for step, times in given.times.items()}) + "\n"


def parse_given(text: bytes | None) -> Given:
    """Return the hints in a record; none if the record is missing or cannot be read."""
    try:
        found = json.loads(text or b"{}")
        times = {str(step): tuple(float(time) for time in given) for step, given in found.items()}
    except (ValueError, TypeError, AttributeError):
        return Given()
    return Given(times)
