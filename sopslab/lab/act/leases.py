"""Record how long a lab is to stay, or that it stays for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.model.lease import Lease
from sopslab.model.wire import encode


def grant(lab: Lab, hours: int) -> None:
    """Record that the lab is to stay for some hours from now on."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    lease = Lease(hours, until.isoformat(timespec="seconds"), lab.git_port, lab.docker_host)
    files.write(lab.lease_file, f"{json.dumps(encode(lease))}\n")


def withdraw(lab: Lab) -> None:
    """Remove the record: the lab stays for good."""
    files.remove(lab.lease_file)
