"""A lab meant for a time, and one that is to stay."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.model.lease import Lease
from sopslab.model.wire import encode


def grant(lab: Lab, hours: int) -> None:
    """Have on record that the lab is meant for some hours from now on."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    lease = Lease(hours, until.isoformat(timespec="seconds"), lab.git_port)
    files.write(lab.lease_file, f"{json.dumps(encode(lease))}\n")


def withdraw(lab: Lab) -> None:
    """Have a lab that is to stay."""
    files.remove(lab.lease_file)
