"""How long a lab is to stay, if it is not to stay for good: that of a CI job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Lease:
    """For how many hours a lab is to stay, when they end (ISO 8601, with a time zone), which port
    its Git server has for that time, and the Docker that it is on, as `DOCKER_HOST` names it."""

    hours: int
    until: str
    git_port: int
    docker_host: str | None

    def ended(self, now: datetime) -> bool:
        """Whether the time is over."""
        return datetime.fromisoformat(self.until) <= now
