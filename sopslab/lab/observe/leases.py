"""How long the lab is to stay."""

from __future__ import annotations

from sopslab.config.leases import read_lease
from sopslab.config.places import Lab
from sopslab.model.lease import Lease


def lease(lab: Lab) -> Lease | None:
    """Return how long the lab is to stay, None if it stays for good. Raises InputError."""
    return read_lease(lab.lease_file)
