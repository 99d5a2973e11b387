"""Facts about the machine that carries the lab."""

from __future__ import annotations

import ipaddress
import itertools
import json
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

# Where systemd-resolved listens: Docker reads what is asked from there instead.
_STUB = "127.0.0.53"

_MACHINE = """
root=$1; shift
directory=$root
while [ ! -d "$directory" ]; do directory=$(dirname "$directory"); done
echo "uid=$(id -u)"
echo "gid=$(id -g)"
echo "user=$(id -un)"
echo "machine=$(uname -m)"
echo "cpus=$(nproc)"
echo "memory_kib=$(sed -n 's/^MemAvailable: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)"
echo "store_entries=$(find "$root/store" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)"
echo "disk_kib=$(df -Pk "$directory" | awk 'NR == 2 { print $4 }')"
[ -w "$directory" ] && echo writable=1 || echo writable=0
[ -f /sys/fs/cgroup/cgroup.controllers ] && echo cgroup=2 || echo cgroup=1
[ -d /run/systemd/system ] && echo systemd=1 || echo systemd=0
echo "bounding=$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)"
echo "last_capability=$(cat /proc/sys/kernel/cap_last_cap)"
echo "inotify_instances=$(cat /proc/sys/fs/inotify/max_user_instances)"
echo "inotify_watches=$(cat /proc/sys/fs/inotify/max_user_watches)"
for command; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null || echo "missing=$command"
done
command -v sudo >/dev/null && echo sudo=1 || echo sudo=0
command -v apt-get >/dev/null && echo apt=1 || echo apt=0
"""


@dataclass(frozen=True)
class MachineState:
    """What a machine offers. Sizes are KiB; `bounding` is the capability bounding set, a mask."""

    uid: int
    gid: int
    user: str
    machine: str
    cpus: int
    memory_kib: int
    disk_kib: int
    store_entries: int
    writable: bool
    cgroup: int
    systemd: bool
    bounding: int
    last_capability: int
    inotify_instances: int
    inotify_watches: int
    sudo: bool
    apt: bool
    missing: tuple[str, ...]

    @property
    def restricted(self) -> bool:
        """Whether the bounding set lacks a capability that `--privileged` asks for."""
        wanted = (1 << (self.last_capability + 1)) - 1
        return bool(wanted & ~self.bounding)


class Machine(FactBase[MachineState]):
    """
    Returns the machine's size, limits and what it lacks of `commands`, as a `MachineState`.
    """

    @override
    def command(self, root: str, commands: list[str]) -> StringCommand:
        return script(_MACHINE, root, *commands)

    @override
    def process(self, output: list[str]) -> MachineState:
        values: dict[str, Any] = {}
        missing = []
        for line in output:
            key, _, value = line.partition("=")
            if key == "missing":
                missing.append(value)
            else:
                values[key] = value
        try:
            return MachineState(
                uid=int(values["uid"]),
                gid=int(values["gid"]),
                user=values["user"],
                machine=values["machine"],
                cpus=int(values["cpus"]),
                memory_kib=int(values["memory_kib"]),
                disk_kib=int(values["disk_kib"]),
                store_entries=int(values["store_entries"]),
                writable=values["writable"] == "1",
                cgroup=int(values["cgroup"]),
                systemd=values["systemd"] == "1",
                bounding=int(values["bounding"], 16),
                last_capability=int(values["last_capability"]),
                inotify_instances=int(values["inotify_instances"]),
                inotify_watches=int(values["inotify_watches"]),
                sudo=values["sudo"] == "1",
                apt=values["apt"] == "1",
                missing=tuple(missing),
            )
        except (KeyError, ValueError) as error:
            raise FactProcessError(f"the machine was described incompletely: {error}") from error


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
    Returns who listens on which of `ports`: the container that publishes it, or "another program".

    .. code:: python

        {8418: "lab-git"}
    """

    default = dict

    @override
    def command(self, ports: list[int]) -> StringCommand:
        # Column 2 of /proc/net/tcp is the local address in hexadecimal, 0A in column 4 is LISTEN.
        return script(
            """
            for port; do
                cat /proc/net/tcp /proc/net/tcp6 2>/dev/null \\
                    | awk -v hex="$(printf ':%04X$' "$port")" \\
                        '$4 == "0A" && $2 ~ hex { found = 1 } END { exit !found }' || continue
                holder=$(timeout -k 1 8 docker ps --filter "publish=$port" \\
                    --format '{{.Names}}' 2>&1) || holder=
                # Several containers may publish one port, each at another address.
                echo "$port=$(echo "${holder:-another program}" | paste -sd ' ')"
            done
            """,
            *(str(port) for port in ports),
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[int, str]:
        found = {}
        for line in output:
            port, _, holder = line.partition("=")
            found[int(port)] = holder
        return found


class Addresses(FactBase[list[str]]):
    """
    Returns the IPv4 addresses of a host, as this machine resolves its name.
    """

    default = list

    @override
    def command(self, name_of_host: str) -> StringCommand:
        return script(
            """timeout 10 getent ahostsv4 "$1" | awk '{ print $1 }' | sort -u || true""",
            name_of_host,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output


class NameServers(FactBase[list[str]]):
    """
    Returns the IPv4 addresses of the name servers that Docker's resolver asks over the network:
    those that the engine is told, else those of this machine. What listens on loopback is asked
    from the machine itself, so it is none of them.

    .. code:: python

        ["192.0.2.53"]
    """

    default = list

    @override
    def command(self) -> StringCommand:
        return script(
            """
            echo '= options'
            pid=$(cat /var/run/docker.pid 2>/dev/null) || pid=
            if [ -n "$pid" ]; then tr '\\0' '\\n' <"/proc/$pid/cmdline" 2>/dev/null || true; fi
            for file in /etc/docker/daemon.json /etc/resolv.conf \\
                /run/systemd/resolve/resolv.conf; do
                echo "= $file"
                # The last line may have no end.
                cat "$file" 2>/dev/null && echo || true
            done
            """
        )

    @override
    @parsing
    def process(self, output: list[str]) -> list[str]:
        parts: dict[str, list[str]] = {}
        part = ""
        for line in output:
            if line.startswith("= "):
                part = line[2:]
                parts[part] = []
            else:
                parts[part].append(line)
        servers = [
            *_options(parts["options"]),
            *json.loads("\n".join(parts["/etc/docker/daemon.json"]) or "{}").get("dns", []),
        ]
        if not servers:
            servers = _name_servers(parts["/etc/resolv.conf"])
            if servers == [_STUB]:
                servers = _name_servers(parts["/run/systemd/resolve/resolv.conf"])
        found = [ipaddress.ip_address(server) for server in servers if "%" not in server]
        return [
            str(server)
            for server in dict.fromkeys(found)
            if isinstance(server, ipaddress.IPv4Address) and not server.is_loopback
        ]


def _options(words: list[str]) -> list[str]:
    """Return what the option --dns of a command line says, however it is spelled."""
    return [
        after if word == "--dns" else word.removeprefix("--dns=")
        for word, after in itertools.zip_longest(words, words[1:], fillvalue="")
        if word.split("=")[0] == "--dns"
    ]


def _name_servers(lines: list[str]) -> list[str]:
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


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
