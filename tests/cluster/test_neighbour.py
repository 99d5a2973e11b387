"""A lab on loopback, and a neighbour that sends packets to 127.0.0.1 and to containers."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sopslab.config.places import GIT_SERVER_PORT
from sopslab.layout import RECEIVER_PORT
from tests.cluster.lab import Lab, as_root, run
from tests.cluster.neighbour import (
    LOOPBACK,
    Neighbour,
    address_of,
    listening_ports,
    neighbourhood,
    published_ports,
)

pytestmark = pytest.mark.restores
# Docker before this version forwards whatever a neighbour sends to published ports.
CLOSED_BY_DOCKER = 28


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Neighbour]:
    with neighbourhood() as there:
        yield there


def doors(lab: Lab) -> dict[str, set[int]]:
    """Return, by address, every port of the lab that answers this machine."""
    containers = (lab.node, lab.git_server)
    return {
        LOOPBACK: set().union(*(published_ports(container) for container in containers)),
        address_of(lab.node, lab.network): {*listening_ports(lab), RECEIVER_PORT},
        address_of(lab.git_server, lab.network): {GIT_SERVER_PORT},
    }


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


def reached(neighbour: Neighbour, lab: Lab) -> dict[str, set[int]]:
    return {address: set(neighbour.scan(address, ports)) for address, ports in doors(lab).items()}


def test_a_neighbour_reaches_no_port_of_the_lab(lab: Lab, neighbour: Neighbour) -> None:
    there = doors(lab)
    assert len(there[LOOPBACK]) == 2
    # All of them answer this machine, or the test would prove nothing.
    for address, ports in there.items():
        assert {port for port in ports if answers(address, port)} == ports, address

    assert reached(neighbour, lab) == {address: set() for address in there}


@pytest.mark.soak
def test_without_the_rule_a_neighbour_reaches_what_docker_publishes(
    lab: Lab, neighbour: Neighbour
) -> None:
    (reject,) = [rule for rule in lab.rules() if "! -i" in rule]
    version = run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout
    run(as_root("iptables", "-w", "10", "-D", *reject.split()[1:]))
    try:
        opened = reached(neighbour, lab)
    finally:
        lab.up()

    closed: dict[str, set[int]] = {address: set() for address in doors(lab)}
    if int(version.split(".")[0]) < CLOSED_BY_DOCKER:
        assert opened[LOOPBACK] == doors(lab)[LOOPBACK]
        assert GIT_SERVER_PORT in opened[address_of(lab.git_server, lab.network)]
    else:
        assert opened == closed
    assert reached(neighbour, lab) == closed
