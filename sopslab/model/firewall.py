"""The rules for traffic into and out of a lab's network, in the languages of iptables and
nftables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One rule, as `iptables -S` prints it without the chain, and as `nft list` prints it."""

    iptables: str
    nftables: str


@dataclass(frozen=True)
class Firewall:
    """The rules that are applied before Docker's, as printed by `program`. That is the one that
    Docker uses: `iptables` or `nftables`, or "" if it is not known."""

    program: str = ""
    lines: tuple[str, ...] = ()


def rules_of(
    bridge: str,
    *,
    name_servers: Sequence[str],
    servers: Sequence[tuple[str, int]],
    published: str | None,
) -> list[Rule]:
    """Return the rules of a bridge in their order: the first that matches decides.

    + bridge: the name of the network interface
    + name_servers: addresses whose port 53 may be reached from the bridge
    + servers: addresses and TCP ports that may be reached from the bridge
    + published: the address of this machine whose published ports others may reach, if any
    """
    established = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    return [
        *(
            Rule(
                f"-d {server}/32 -i {bridge} -p {protocol} -m {protocol} --dport 53 -j RETURN",
                f'ip daddr {server} iifname "{bridge}" {protocol} dport 53 accept',
            )
            for server in name_servers
            for protocol in ("udp", "tcp")
        ),
        Rule(
            f"-i {bridge} {established}", f'iifname "{bridge}" ct state established,related accept'
        ),
        *(
            Rule(
                f"-d {address}/32 -i {bridge} -p tcp -m tcp --dport {port} -j RETURN",
                f'ip daddr {address} iifname "{bridge}" tcp dport {port} accept',
            )
            for address, port in servers
        ),
        Rule(
            f"-i {bridge} ! -o {bridge} -j REJECT --reject-with icmp-port-unreachable",
            f'iifname "{bridge}" oifname != "{bridge}" reject',
        ),
        Rule(
            f"-o {bridge} {established}", f'oifname "{bridge}" ct state established,related accept'
        ),
        *(
            Rule(
                f"-o {bridge} -m conntrack --ctstate DNAT --ctorigdst {address} -j RETURN",
                f'oifname "{bridge}" ct status dnat ct original ip daddr {address} accept',
            )
            for address in ([published] if published else [])
        ),
        Rule(
            f"! -i {bridge} -o {bridge} -j REJECT --reject-with icmp-port-unreachable",
            f'iifname != "{bridge}" oifname "{bridge}" reject',
        ),
    ]


def table_of(bridge: str, rules: Sequence[Rule]) -> str:
    """Return the nftables table with the rules of a bridge, as `nft list` prints it; "" without
    rules. The table is applied before Docker's, which then decides about what it accepts."""
    if not rules:
        return ""
    lines = [
        f"table ip sops-lab-{bridge} {{",
        "\tchain forward {",
        "\t\ttype filter hook forward priority filter - 1; policy accept;",
        *(f"\t\t{rule.nftables}" for rule in rules),
        "\t}",
        "}",
    ]
    return "\n".join([*lines, ""])


def replacing_table(bridge: str, rules: Sequence[Rule]) -> str:
    """Return the input for `nft -f` that gives a bridge exactly these rules. `nft` carries out all
    of the input, or nothing."""
    name = f"table ip sops-lab-{bridge}"
    # The first line makes the table if it is missing: to delete a missing table is an error.
    return f"{name}\ndelete {name}\n{table_of(bridge, rules)}"
