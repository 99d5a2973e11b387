"""Operations on the machine that carries the lab."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra import host
from pyinfra.api import operation

from sopslab.command import Commands, refusal, script
from sopslab.facts.host import FirewallRules, IsRoot, Listeners, Machine, RecordedValue
from sopslab.journal import note
from sopslab.preflight import find_problems
from sopslab.settings import Settings


@operation()
def preflight(settings: Settings, disk_kib: int, ports: Mapping[int, str]) -> Commands:
    """
    Refuse a machine that is too small or whose ports are taken, with numbers.

    + settings: the lab's settings; `force` overrides what is merely too small
    + disk_kib: the free space that is needed under the root
    + ports: the ports of loopback that the lab publishes, and the container that may hold each

    **Example:**

    .. code:: python

        host.preflight(
            name="Check the machine", settings=settings, disk_kib=1024, ports={8418: "lab-git"}
        )
    """
    machine = host.get_fact(Machine, root=settings.root, commands=[])
    listeners = host.get_fact(Listeners, ports=list(ports))
    problems = find_problems(machine, disk_kib, listeners, ports, force=settings.force)
    if problems:
        yield refusal("\n".join(problems))
        return
    host.noop("the machine is large enough and its ports are free")


@operation()
def packages(commands: Mapping[str, str]) -> Commands:
    """
    Have commands installed from the distribution.

    + commands: the command that is needed, and the Debian package that has it
    """
    machine = host.get_fact(Machine, root="/", commands=list(commands))
    if not machine.missing:
        host.noop("every command that the lab needs is there")
        return
    wanted = sorted({commands[command] for command in machine.missing})
    listing = ", ".join(wanted)
    if not machine.apt:
        yield refusal(
            f"{', '.join(machine.missing)} is missing and this is no Debian: install {listing}"
        )
        return
    if machine.uid != 0 and not machine.sudo:
        yield refusal(f"{listing} is missing: have root run `apt-get install {listing}`")
        return
    note(f"installed {listing}")
    yield script(
        """
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        timeout 900 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
        """,
        *wanted,
        sudo=machine.uid != 0,
    )


@operation()
def sysctl(key: str, at_least: int, record: str) -> Commands:
    """
    Raise a kernel limit that is too low, and note what it was so that it can be put back.

    + key: the sysctl, such as `fs.inotify.max_user_instances`
    + at_least: the value below which it is raised to this value
    + record: the file that keeps the value of before
    """
    path = "/proc/sys/" + key.replace(".", "/")
    machine = host.get_fact(Machine, root="/", commands=[])
    found = {
        "fs.inotify.max_user_instances": machine.inotify_instances,
        "fs.inotify.max_user_watches": machine.inotify_watches,
    }[key]
    if found >= at_least:
        host.noop(f"{key} is {found}")
        return
    note(f"{key} was {found}")
    yield script('mkdir -p "$(dirname "$1")"; [ -e "$1" ] || echo "$2" >"$1"', record, str(found))
    yield script('echo "$1" >"$2"', str(at_least), path, sudo=machine.uid != 0)


@operation()
def sysctl_restored(key: str, record: str) -> Commands:
    """
    Put a kernel limit back to what it was before the lab raised it.

    + key: the sysctl
    + record: the file that keeps the value of before
    """
    before = host.get_fact(RecordedValue, path=record)
    if before is None:
        host.noop(f"{key} was not raised by this lab")
        return
    path = "/proc/sys/" + key.replace(".", "/")
    yield script('echo "$1" >"$2"', before, path, sudo=not host.get_fact(IsRoot))
    yield script('rm "$1"', record)


@operation()
def firewall(bridge: str, present: bool = True) -> Commands:
    """
    Keep what comes from a Docker bridge on this machine.

    While kube-proxy has no rule yet, packets to Service addresses would follow the default route
    out of the machine. Port 53 returns first: Docker's resolver asks its upstream from inside the
    container's network namespace, and where that is rejected every outside name hangs for 20 s.

    + bridge: the interface of the lab's network
    + present: whether the rules should exist
    """
    sudo = not host.get_fact(IsRoot)
    rules = host.get_fact(FirewallRules, _sudo=sudo)
    ours = [rule for rule in rules if f" -i {bridge} " in rule]
    # In the order of the chain: iptables -S prints what was inserted last first.
    wanted = [
        f"-A DOCKER-USER -i {bridge} -p udp -m udp --dport 53 -j RETURN",
        f"-A DOCKER-USER -i {bridge} -p tcp -m tcp --dport 53 -j RETURN",
        f"-A DOCKER-USER -i {bridge} ! -o {bridge} -j REJECT --reject-with icmp-port-unreachable",
    ]
    if present == (ours == wanted) and (present or not ours):
        host.noop(f"the rules of {bridge} are {'in place' if present else 'gone'}")
        return
    yield script(
        """
        PATH="$PATH:/usr/sbin:/sbin" bridge=$1 present=$2
        iptables -w 10 -S DOCKER-USER | sed -n "s/^-A \\\\(.* -i $bridge .*\\\\)/\\\\1/p" \\
            | while IFS= read -r rule; do
                # The rule is iptables' own words, one argument a word.
                # shellcheck disable=SC2086
                iptables -w 10 -D $rule
            done
        [ "$present" = yes ] || exit 0
        iptables -w 10 -I DOCKER-USER -i "$bridge" ! -o "$bridge" -j REJECT
        iptables -w 10 -I DOCKER-USER -i "$bridge" -p tcp --dport 53 -j RETURN
        iptables -w 10 -I DOCKER-USER -i "$bridge" -p udp --dport 53 -j RETURN
        """,
        bridge,
        "yes" if present else "no",
        sudo=sudo,
    )
