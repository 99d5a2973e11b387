"""Links between this machine and network namespaces that stand for other machines."""

from __future__ import annotations

import zlib
from ipaddress import IPv4Address
from typing import NamedTuple

from tests.cluster.lab import lab_name

# For tests of networks (RFC 2544): room for this many networks of two machines.
_FIRST, _NETWORKS = IPv4Address("198.18.0.0"), 2**15
# The upper half of the range of a cluster's Services, in which there is one address for each
# network.
_SERVICES = IPv4Address("10.96.128.0")


class Link(NamedTuple):
    """A network namespace, the two ends of the link to it, and the address of each end.

    `service` is an address that a cluster could give to a Service. All of it differs between
    purposes, and between runs with different prefixes.
    """

    space: str
    outer: str
    inner: str
    here: str
    there: str
    service: str


def link(purpose: str) -> Link:
    """Return the link for a purpose of the tests."""
    name = lab_name(purpose)
    number = zlib.crc32(name.encode()) % _NETWORKS
    network = _FIRST + 4 * number
    return Link(
        f"sops-lab-{name}",
        # The kernel allows 15 characters.
        f"sl-out-{number}",
        f"sl-in-{number}",
        str(network + 1),
        str(network + 2),
        str(_SERVICES + number),
    )
