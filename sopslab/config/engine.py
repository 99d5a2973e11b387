"""The machine that runs Docker, if it is not this one: a service beside a CI job."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# The address at which a container publishes its ports, on a machine whose own address is unknown.
EVERYWHERE = "0.0.0.0"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def engine_host(docker_host: str | None) -> str | None:
    """Return the name or IPv4 address of the machine in DOCKER_HOST; None if it is this machine.

    Raises ValueError if a lab cannot use the Docker there.
    """
    if not docker_host:
        return None
    url = urlsplit(docker_host)
    if url.scheme in {"unix", "fd"}:
        return None
    host = url.hostname or ""
    if url.scheme != "tcp" or not (_NAME.fullmatch(host) or host == "::1"):
        raise ValueError(
            "a socket of this machine is needed, or the service of a CI job, such as"
            " tcp://docker:2376: a lab shares folders with its Docker"
        )
    return None if host == "localhost" or _is_loopback(host) else host


def kind_of_name(host: str) -> str:
    """Return which kind of name in a certificate a machine's name is: `IP` or `DNS`."""
    return "IP" if _address(host) else "DNS"


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
