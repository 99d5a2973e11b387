"""What the firewall rules of a lab's bridge let through, by both programs, in test networks."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from sopslab.model.firewall import Rule, replacing_table, rules_of, table_of
from tests.cluster.lab import PREFIX, as_root, run, wait_until

BRIDGE = "sl-rules"
# A machine behind the bridge, and three beyond this machine: one that may not be reached, the name
# server, and a server that may be reached.
INSIDE, OUTSIDE, NAMES, SERVER = "10.9.0.2", "10.8.0.2", "10.8.0.3", "10.8.0.4"
RULES = rules_of(BRIDGE, name_servers=[NAMES], servers=[(SERVER, 3000)], published=None)
# From where a connection comes, its address and port, and whether it is let through.
PACKETS = {
    ("inside", NAMES, 53): True,
    ("inside", NAMES, 3000): False,
    ("inside", SERVER, 3000): True,
    ("inside", SERVER, 53): False,
    ("inside", OUTSIDE, 3000): False,
    ("outside", INSIDE, 3000): False,
}


@dataclass(frozen=True)
class Networks:
    """Three network namespaces as machines: behind the bridge, with the bridge, and outside."""

    name: str

    def run(self, machine: str, *argv: str, check: bool = True, stdin: str | None = None) -> str:
        command = as_root("ip", "netns", "exec", f"{self.name}-{machine}", *argv)
        return run(command, check=check, stdin=stdin).stdout

    def reaches(self, machine: str, address: str, port: int) -> bool:
        """Return whether a connection is made, which is let through or rejected at once."""
        target = f"http://{address}:{port}/"
        return "HTTP" in self.run(machine, "curl", "-sI", "--max-time", "5", target, check=False)


@pytest.fixture
def networks() -> Iterator[Networks]:
    networks = Networks(f"{PREFIX}-rules")
    machines = [f"{networks.name}-{machine}" for machine in ("inside", "machine", "outside")]
    inside, machine, outside = machines
    for name in machines:
        run(as_root("ip", "netns", "add", name))
    try:
        for command in f"""
            -n {machine} link add {BRIDGE} type bridge
            -n {machine} link add to-inside type veth peer name eth0 netns {inside}
            -n {machine} link add to-outside type veth peer name eth0 netns {outside}
            -n {machine} link set to-inside master {BRIDGE}
            -n {machine} address add 10.9.0.1/24 dev {BRIDGE}
            -n {machine} address add 10.8.0.1/24 dev to-outside
            -n {machine} link set {BRIDGE} up
            -n {machine} link set to-inside up
            -n {machine} link set to-outside up
            -n {inside} address add {INSIDE}/24 dev eth0
            -n {inside} link set eth0 up
            -n {inside} route add default via 10.9.0.1
            -n {outside} address add {OUTSIDE}/24 dev eth0
            -n {outside} address add {NAMES}/24 dev eth0
            -n {outside} address add {SERVER}/24 dev eth0
            -n {outside} link set eth0 up
            -n {outside} route add default via 10.8.0.1
        """.strip().splitlines():  # fmt: skip
            run(as_root("ip", *command.split()))
        networks.run("machine", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield networks
    finally:
        for name in machines:
            run(as_root("ip", "netns", "delete", name), check=False)


@pytest.fixture
def servers(networks: Networks, tmp_path: Path) -> Iterator[None]:
    """Listen on both ports, inside and outside."""
    serve = [sys.executable, "-m", "http.server", "--directory", str(tmp_path)]
    processes = [
        subprocess.Popen(
            as_root("ip", "netns", "exec", f"{networks.name}-{machine}", *serve, port),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for machine in ("inside", "outside")
        for port in ("53", "3000")
    ]  # fmt: skip
    try:
        for packet in PACKETS:
            wait_until(functools.partial(networks.reaches, *packet), f"{packet} is answered")
        yield
    finally:
        for process in processes:
            run(as_root("kill", str(process.pid)), check=False)
            process.wait(10)


def by_iptables(networks: Networks, rules: list[Rule]) -> None:
    script = str(PROJECT / "artifacts" / "host" / "firewall.sh")
    words = [rule.iptables for rule in reversed(rules)]
    networks.run("machine", "sh", "-eu", script, BRIDGE, *words)


def by_nftables(networks: Networks, rules: list[Rule]) -> None:
    networks.run("machine", "nft", "-f", "-", stdin=replacing_table(BRIDGE, rules))


Put = Callable[[Networks, list[Rule]], None]


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("put", [by_iptables, by_nftables])
def test_both_programs_let_the_same_through(networks: Networks, put: Put) -> None:
    if put is by_iptables:
        networks.run("machine", "iptables", "-N", "DOCKER-USER")
        networks.run("machine", "iptables", "-A", "FORWARD", "-j", "DOCKER-USER")
    put(networks, RULES)
    assert {packet: networks.reaches(*packet) for packet in PACKETS} == PACKETS
    put(networks, [])
    assert all(networks.reaches(*packet) for packet in PACKETS)


def test_nft_lists_the_rules_as_they_were_given(networks: Networks) -> None:
    for published in (None, "192.0.2.2"):
        rules = rules_of(
            BRIDGE, name_servers=[NAMES], servers=[(SERVER, 3000)], published=published
        )
        by_nftables(networks, rules)
        listing = ["nft", "--stateless", "list", "table", "ip", f"sops-lab-{BRIDGE}"]
        assert networks.run("machine", *listing) == table_of(BRIDGE, rules)
    by_nftables(networks, [])
    assert BRIDGE not in networks.run("machine", "nft", "list", "tables")
