"""Facts about the machine that carries the lab."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.provision.command import script


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
