"""Facts about the machine that carries the lab."""

from __future__ import annotations

import json

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.lab.observe import machine
from sopslab.model.machine import MachineState
from sopslab.model.wire import decode
from sopslab.provision.command import looking_at_machine, script
from sopslab.provision.facts.parsing import LabFact, parsing


class Machine(LabFact[MachineState]):
    """
    Returns the machine's size, limits and what it lacks of `commands`, as a `MachineState`.
    """

    look = machine.machine

    @override
    def command(self, root: str, commands: list[str]) -> StringCommand:
        return looking_at_machine(machine.machine, root=root, commands=commands)


class IsRoot(FactBase[bool]):
    """
    Returns whether the commands of this run are root's.
    """

    @override
    def command(self) -> StringCommand:
        return script("id -u")

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["0"]


class Listeners(FactBase[dict[int, str]]):
    """
    Returns who listens on which of `ports`: the containers that publish it, or "another program".

    .. code:: python

        {8418: "lab-git"}
    """

    default = dict

    @override
    def command(self, ports: list[int]) -> StringCommand:
        return looking_at_machine(machine.listeners, ports=ports)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[int, str]:
        found = decode(dict[str, str], json.loads("\n".join(output)))
        return {int(port): holder for port, holder in found.items()}


class Addresses(LabFact[list[str]]):
    """
    Returns the IPv4 addresses of a host, as this machine resolves its name.
    """

    look = machine.addresses
    default = list

    @override
    def command(self, name_of_host: str) -> StringCommand:
        return looking_at_machine(machine.addresses, name=name_of_host)


class NameServers(LabFact[list[str]]):
    """
    Returns the IPv4 addresses of the name servers that Docker's resolver asks over the network:
    those that the engine is told, else those of this machine.

    .. code:: python

        ["192.0.2.53"]
    """

    look = machine.name_servers
    default = list

    @override
    def command(self) -> StringCommand:
        return looking_at_machine(machine.name_servers)


class RecordedValue(FactBase[str | None]):
    """
    Returns the number that the file `path` keeps, or None if there is no such file.
    """

    @override
    def command(self, path: str) -> StringCommand:
        return script('[ ! -s "$1" ] || cat "$1"', path)

    @override
    def process(self, output: list[str]) -> str | None:
        return output[0].strip() if output else None


class FirewallRules(FactBase[list[str]]):
    """
    Returns the rules of Docker's chain for the user, as `iptables -S DOCKER-USER` prints them.
    """

    default = list

    @override
    def command(self) -> StringCommand:
        return script(
            'PATH="$PATH:/usr/sbin:/sbin"; iptables -w 10 -S DOCKER-USER 2>/dev/null || true'
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output
