"""For how long a lab is meant, where it is meant for a time: that of a CI job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Lease:
    """For how many hours a lab is meant, when they end (ISO 8601, with a time zone), and which port
    its Git server has for that time."""

    hours: int
    until: str
    git_port: int

    def ended(self, now: datetime) -> bool:
        """Whether the time is over."""
        return datetime.fromisoformat(self.until) <= now
