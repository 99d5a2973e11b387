"""What may get into a lab's network and out of it: rules, in the words of two programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A rule as `iptables -S` prints it, without the chain, and as `nft list` does."""

    iptables: str
    nftables: str


@dataclass(frozen=True)
class Firewall:
    """The rules that come before Docker's, as printed by the program that Docker works with:
    `iptables`, `nftables`, or none that is known."""

    program: str = ""
    lines: tuple[str, ...] = ()


def rules_of(
    bridge: str,
    *,
    name_servers: Sequence[str],
    servers: Sequence[tuple[str, int]],
    published: str | None,
) -> list[Rule]:
    """Return the rules of a bridge in their order: the first that fits counts.

    + bridge: the interface
    + name_servers: whose port 53 may be reached from it
    + servers: addresses and their TCP ports that may be reached from it
    + published: the address of this machine from which others are let through to it, if any
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
    """Return the table that holds the rules of a bridge, as `nft list` prints it; empty without
    rules. It comes before Docker's, which decides about what this one accepts."""
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
    """Return the input for `nft -f`, which does all of it or nothing, so that exactly these rules
    of a bridge are there."""
    name = f"table ip sops-lab-{bridge}"
    # Deleting a table that is not there would be an error.
    return f"{name}\ndelete {name}\n{table_of(bridge, rules)}"
