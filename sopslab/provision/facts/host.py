"""Facts about the machine that carries the lab."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.model.firewall import Firewall
from sopslab.provision.command import script


class FirewallRules(FactBase[Firewall]):
    """
    Returns the firewall rules that come before Docker's own: the rules of the chain DOCKER-USER,
    as `iptables -S` prints them. If Docker works with nftables, returns the lines of our table for
    one bridge instead, without indentation.
    """

    default = Firewall

    @override
    def command(self, bridge: str) -> StringCommand:
        return script(
            """
            PATH="$PATH:/usr/sbin:/sbin"
            if nft list table ip docker-bridges >/dev/null 2>&1; then
                echo nftables
                nft --stateless list table ip "sops-lab-$1" 2>/dev/null || true
            else
                iptables -w 10 -S DOCKER-USER 2>/dev/null || true
            fi
            """,
            bridge,
        )

    @override
    def process(self, output: list[str]) -> Firewall:
        if output[0] == "nftables":
            return Firewall("nftables", tuple(line.strip() for line in output[1:]))
        return Firewall("iptables", tuple(output))
