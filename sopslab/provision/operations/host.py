"""Operations on the machine that carries the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.naming import bridge_name, node_name
from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import packages as act
from sopslab.lab.beginning import sudo_state
from sopslab.lab.observe.docker import container, lab_networks
from sopslab.lab.observe.machine import addresses, machine_state, name_servers, recorded_value
from sopslab.model.firewall import Rule, replacing_table, rules_of, table_of
from sopslab.model.packages import MANAGERS, packages_of
from sopslab.provision.command import Commands, changing_machine, refusal, script, script_file
from sopslab.provision.facts.host import FirewallRules
from sopslab.provision.known import holders_of, through_sudo
from sopslab.provision.look import look_at_machine, recall_of_machine
from sopslab.provision.preflight import find_problems, find_sudo_problems, find_taken_ports


@operation()
def preflight(settings: Settings) -> Commands:
    """
    Refuse a machine that cannot carry a lab, and say in numbers what it lacks, before anything is
    touched.

    + settings: the lab's settings; `force` accepts a machine that is only too small
    """
    machine = look_at_machine(machine_state, root=settings.root, commands=[])
    problems = find_problems(machine, settings, running=False)
    if problems and look_at_machine(container, name=node_name(settings.lab)) is not None:
        # The lab's cluster is there, and the lab already has its memory and its disk.
        problems = find_problems(machine, settings, running=True)
    if settings.firewalled and machine.uid != 0:
        problems += find_sudo_problems(recall_of_machine(sudo_state))
    if problems:
        yield refusal("\n".join(problems))
        return
    host.noop("the machine is large enough")


@operation()
def packages(commands: Sequence[str], offline: bool = False) -> Commands:
    """
    Install missing commands from the distribution.

    + commands: the commands that are needed
    + offline: refuse a machine that lacks a command, because no network may be used
    """
    machine = look_at_machine(machine_state, root="/", commands=list(commands))
    if not machine.missing:
        host.noop("every command that is needed is there")
        return
    lacking = ", ".join(machine.missing)
    if not machine.manager:
        yield refusal(
            f"{lacking}: missing, and this machine has neither {' nor '.join(MANAGERS)}: install"
            " the packages that have these commands"
        )
        return
    wanted = packages_of(machine.manager, machine.missing)
    listing = ", ".join(" or ".join(names) for names in wanted)
    if offline:
        yield refusal(
            f"{lacking}: missing, and `artifact_source: bundle` asks no network: install {listing}"
        )
        return
    sudo = machine.uid != 0
    if sudo and recall_of_machine(sudo_state) != "ok":
        yield refusal(f"{lacking}: missing: have root install {listing} with {machine.manager}")
        return
    note(f"installed {listing}")
    yield changing_machine(sudo, act.install, manager=machine.manager, packages=wanted)


@operation()
def sysctl(key: str, at_least: int, record: str) -> Commands:
    """
    Raise a kernel limit that is too low, and record its former value.

    + key: the sysctl, such as `fs.inotify.max_user_instances`
    + at_least: the value to which a lower limit is raised
    + record: the file that keeps the former value
    """
    found = _limit(key)
    if found >= at_least:
        host.noop(f"{key} is {found}")
        return
    sudo = through_sudo()
    note(f"{key} was {found}")
    # A full disk or a killed run may have left an empty record.
    yield script('mkdir -p "$(dirname "$1")"; [ -s "$1" ] || echo "$2" >"$1"', record, str(found))
    yield script('echo "$1" >"$2"', str(at_least), _file_of(key), sudo=sudo)


@operation()
def original_sysctl(key: str, raised_to: int, record: str) -> Commands:
    """
    Give a kernel limit that a lab of this root has raised its former value again, once no lab of
    the machine is up any more, in whatever root. A value that somebody else has set since stays.

    + key: the sysctl
    + raised_to: the value that labs raise it to
    + record: the file that keeps the former value
    """
    before = look_at_machine(recorded_value, path=record)
    if before is None:
        host.noop(f"{key} was not raised by this lab")
        return
    networks = look_at_machine(lab_networks)
    if networks is None:
        host.noop(f"Docker does not say whether another lab needs {key}")
        return
    if networks:
        host.noop(f"another lab still needs {key}")
        return
    found = _limit(key)
    if found == raised_to:
        yield script('echo "$1" >"$2"', before, _file_of(key), sudo=through_sudo())
    else:
        note(f"{key} stays {found}, which is not what a lab has set")
    yield script('rm "$1"', record)


def _limit(key: str) -> int:
    """Return the present value of a kernel limit."""
    machine = look_at_machine(machine_state, root="/", commands=[])
    return {
        "fs.inotify.max_user_instances": machine.inotify_instances,
        "fs.inotify.max_user_watches": machine.inotify_watches,
    }[key]


def _file_of(key: str) -> str:
    return "/proc/sys/" + key.replace(".", "/")


@operation()
def firewall(bridge: str, published: str | None = None, allowed: str | None = None) -> Commands:
    """
    Keep the traffic of a Docker bridge on this machine, and keep other hosts of the network away
    from the bridge.

    While kube-proxy has no rules yet, packets to Service addresses would follow the default route
    out of the machine. Docker's resolver asks its name servers from inside the container's network
    namespace. If these questions were rejected, each lookup of an outside name would hang for 20 s.
    So port 53 of these name servers is allowed, and port 53 of no other host.

    Docker before version 28 forwards what another host sends to a port that is published on
    127.0.0.1, or to a container's own address. The rules let other hosts connect only to ports
    that are published at `published`.

    + bridge: the interface of the lab's network
    + published: the address of this machine at which other hosts may connect to the lab, if any
    + allowed: the URL of the only outside server that may be reached, if any
    """
    wanted = rules_of(
        bridge,
        name_servers=look_at_machine(name_servers),
        servers=_exceptions(allowed),
        published=published,
    )
    yield from _with_rules(bridge, wanted)


@operation()
def firewall_removal(settings: Settings) -> Commands:
    """
    Remove the firewall rules of a lab. One without a network on this machine has none, but may have
    had them by an earlier lab file. Only root can look at rules, and such a lab does without root.

    + settings: the lab's settings
    """
    if not settings.firewalled and recall_of_machine(sudo_state) != "ok":
        host.noop("the lab needs no rules, and only root could look for former ones")
        return
    yield from _with_rules(bridge_name(settings.lab), [])


def _with_rules(bridge: str, wanted: Sequence[Rule]) -> Commands:
    """Yield what makes these rules the only ones of a Docker bridge."""
    sudo = through_sudo()
    found = host.get_fact(FirewallRules, bridge=bridge, _sudo=sudo)
    if found.program == "nftables":
        table = [line.strip() for line in table_of(bridge, wanted).splitlines()]
        changed = list(found.lines) != table
    else:
        ours = [line for line in found.lines if line.startswith("-A ") and f" {bridge} " in line]
        changed = ours != [f"-A DOCKER-USER {rule.iptables}" for rule in wanted]
    if not changed:
        host.noop(f"the rules of {bridge} are {'in place' if wanted else 'gone'}")
        return
    if found.program == "nftables":
        yield script(
            'PATH="$PATH:/usr/sbin:/sbin" nft -f -',
            stdin=replacing_table(bridge, wanted),
            sudo=sudo,
        )
        return
    # The script inserts each rule at the head of the chain, so it gets the last rule first.
    yield script_file(
        "firewall.sh", bridge, *(rule.iptables for rule in reversed(wanted)), sudo=sudo
    )


def _exceptions(allowed: str | None) -> list[tuple[str, int]]:
    if allowed is None:
        return []
    url = urlsplit(allowed)
    port = url.port or (443 if url.scheme == "https" else 80)
    return [(address, port) for address in look_at_machine(addresses, name=url.hostname or "")]


@operation()
def ports(ports: Mapping[int, str]) -> Commands:
    """
    Refuse a machine on which something else has taken a port that the lab publishes.

    + ports: the ports, and the container of the lab that may hold each
    """
    listeners = holders_of(list(ports))
    problems = find_taken_ports(listeners, ports)
    if problems:
        yield refusal("\n".join(problems))
        return
    host.noop("the ports are free")
