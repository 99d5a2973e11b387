"""Facts about the machine that carries the lab."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.provision.command import script


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
