"""How long a lab is to stay, if it is not to stay for good, as the lab of a CI job is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Lease:
    """The lease of a lab: its length in hours, and its end (ISO 8601, with a time zone).

    It also has the port of the lab's Git server for that time, and the Docker engine that the lab
    is on, as `DOCKER_HOST` names it.
    """

    hours: int
    until: str
    git_port: int
    docker_host: str | None

    def ended(self, now: datetime) -> bool:
        """Return whether the lease has ended."""
        return datetime.fromisoformat(self.until) <= now
