"""The machine that Docker is on, where that is another one: a service beside a CI job."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# The address that a container publishes at on a machine of which no other one is known.
EVERYWHERE = "0.0.0.0"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def engine_host(docker_host: str | None) -> str | None:
    """Return the name or IPv4 address of the machine whose Docker DOCKER_HOST names, None if that
    is this machine. Raises ValueError if a lab cannot be on that Docker.
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
    """Return what kind of name a certificate calls a machine's: `IP` or `DNS`."""
    return "IP" if _address(host) else "DNS"


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
