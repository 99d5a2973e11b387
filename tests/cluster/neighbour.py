"""A machine on the same network: a network namespace for which this machine forwards packets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sopslab.layout import PROJECT
from tests.cluster.lab import Lab, as_root, run
from tests.cluster.links import link

SPACE, OUTER, INNER, HERE, THERE, _ = link("near")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Neighbour:
    """A machine that sends packets to this one, which may forward them."""

    def run(
        self, *argv: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return run(
            as_root("ip", "netns", "exec", SPACE, "env", f"PYTHONPATH={PROJECT}", *argv),
            check=check,
            stdin=stdin,
        )

    def scan(self, address: str, ports: Iterable[int] = ()) -> list[int]:
        """Return which of these ports of an address, by default of all, accept a connection from
        there."""
        words = [str(port) for port in ports]
        done = self.run(sys.executable, "-m", "tests.cluster.scan", address, *words)
        found: list[int] = json.loads(done.stdout)
        return found

    def status(self, url: str, *options: str) -> int:
        """Return the HTTP status of the answer to a request from there, 0 without an answer."""
        done = self.run(
            "curl", "--silent", "--insecure", "--path-as-is", "--noproxy", "*", "--max-time", "5",
            "--output", "/dev/null", "--write-out", "%{http_code}", *options, url, check=False,
        )  # fmt: skip
        return int(done.stdout or 0)


@contextmanager
def neighbourhood() -> Iterator[Neighbour]:
    """Put a neighbour beside this machine that sends everything through it, to 127.0.0.1 too."""

    def ip(*arguments: str, check: bool = True) -> None:
        run(as_root("ip", *arguments), check=check)

    def forget() -> None:
        ip("link", "delete", OUTER, check=False)
        ip("netns", "delete", SPACE, check=False)

    forget()
    ip("netns", "add", SPACE)
    try:
        ip("link", "add", OUTER, "type", "veth", "peer", "name", INNER, "netns", SPACE)
        ip("address", "add", f"{HERE}/30", "dev", OUTER)
        ip("link", "set", OUTER, "up")
        ip("-n", SPACE, "address", "add", f"{THERE}/30", "dev", INNER)
        ip("-n", SPACE, "link", "set", INNER, "up")
        ip("-n", SPACE, "route", "add", "default", "via", HERE)
        # Its own loopback is down, so that what it sends to 127.0.0.1 goes out.
        ip("-n", SPACE, "route", "add", LOOPBACK, "via", HERE, "dev", INNER)
        there = Neighbour()
        for name in ("all", INNER):
            there.run("sysctl", "-q", "-w", f"net.ipv4.conf.{name}.route_localnet=1")
        yield there
    finally:
        forget()


def address_of_this_machine() -> str:
    """Return an IPv4 address of this machine other than loopback: Docker's bridge, or any other."""
    found = json.loads(run(["ip", "-json", "-4", "address", "show", "scope", "global"]).stdout)
    addresses = {link["ifname"]: link["addr_info"][0]["local"] for link in found}
    return str(addresses.get("docker0") or next(iter(addresses.values())))


def address_of(container: str, network: str) -> str:
    """Return the address of a container on a Docker network."""
    template = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
    return run(["docker", "inspect", "--format", template, container]).stdout.strip()


def gateway_of(network: str) -> str:
    """Return this machine's address on a Docker network."""
    template = "{{(index .IPAM.Config 0).Gateway}}"
    return run(["docker", "network", "inspect", "--format", template, network]).stdout.strip()


def interface_of(address: str) -> str:
    """Return the network interface of this machine that has an address."""
    found = json.loads(run(["ip", "-json", "-4", "address", "show", "to", address]).stdout)
    # An interface without the address is listed as an empty object.
    (name,) = [link["ifname"] for link in found if link]
    return str(name)


def published_ports(container: str) -> set[int]:
    """Return the ports of this machine at which Docker publishes those of a container."""
    text = "{{json .NetworkSettings.Ports}}"
    ports = json.loads(run(["docker", "inspect", "--format", text, container]).stdout)
    return {int(one["HostPort"]) for bindings in ports.values() for one in bindings or []}


def listening_ports(lab: Lab) -> list[int]:
    """Return the ports on which programs of the node listen for other machines, too."""
    listing = run(["docker", "exec", lab.node, "ss", "--no-header", "-tln"]).stdout
    ends = [line.split()[3].rpartition(":") for line in listing.splitlines()]
    return sorted({int(port) for address, _, port in ends if not address.startswith("127.")})
