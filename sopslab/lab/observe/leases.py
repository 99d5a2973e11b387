"""For how long the lab is meant."""

from __future__ import annotations

from sopslab.config.leases import read_lease
from sopslab.config.places import Lab
from sopslab.model.lease import Lease


def lease(lab: Lab) -> Lease | None:
    """Return for how long the lab is meant, None if it is to stay. Raises InputError."""
    return read_lease(lab.lease_file)
