"""What the lab's machine offers. It is examined before anything is installed."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from sopslab.lab.tools.docker import try_docker
from sopslab.lab.tools.files import entries, read
from sopslab.lab.tools.programs import try_ask
from sopslab.lab.tools.users import name_of
from sopslab.model.machine import MachineState
from sopslab.model.packages import MANAGERS
from sopslab.model.results import Undecided

_LISTEN = "0A"  # in /proc/net/tcp
_UNKNOWN_HOLDER = "another program"
# The address of systemd-resolved. If resolv.conf names it, Docker reads the file with the servers
# that systemd-resolved asks.
_STUB = "127.0.0.53"


def machine_state(root: str, commands: list[str]) -> MachineState:
    """Return what the machine offers. Raises Undecided if the kernel's files do not say it.

    + root: where labs are kept; the disk is that of its nearest parent folder that exists
    + commands: the commands to look for
    """
    folder = Path(root)
    # A folder that cannot be entered is none; pathlib would raise.
    while not os.path.isdir(folder):  # noqa: PTH112
        folder = folder.parent
    disk = os.statvfs(folder)
    memory = _number("/proc/meminfo", r"^MemAvailable:\s*(\d+)")
    inotify = Path("/proc/sys/fs/inotify")
    return MachineState(
        uid=os.geteuid(),
        gid=os.getegid(),
        user=name_of(os.geteuid()),
        machine=os.uname().machine,
        cpus=len(os.sched_getaffinity(0)),
        memory_kib=memory,
        disk_kib=disk.f_bavail * disk.f_frsize // 1024,
        store_entries=len(entries(f"{root}/store")),
        writable=os.access(folder, os.W_OK),
        cgroup=2 if Path("/sys/fs/cgroup/cgroup.controllers").is_file() else 1,
        bounding=_number("/proc/self/status", r"^CapBnd:\s*([0-9a-f]+)", 16),
        last_capability=_number("/proc/sys/kernel/cap_last_cap", r"(\d+)"),
        inotify_instances=_number(inotify / "max_user_instances", r"(\d+)"),
        inotify_watches=_number(inotify / "max_user_watches", r"(\d+)"),
        manager=next(filter(shutil.which, MANAGERS), ""),
        missing=tuple(command for command in commands if not _is_there(command)),
    )


def _number(path: str | Path, pattern: str, base: int = 10) -> int:
    """Return a number from a file of the kernel. Raises Undecided if the file does not have it.

    + pattern: a regular expression whose group is the number
    """
    text = (read(path) or b"").decode("ascii", "replace")
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Undecided(f"{path} does not say what was looked for")
    return int(found[1], base)


def _is_there(command: str) -> bool:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    return shutil.which(command, path=path) is not None


def recorded_value(path: str) -> str | None:
    """Return the value that a file records in its first line, None if the file is missing or
    empty."""
    lines = (read(path) or b"").decode("ascii", "replace").splitlines()
    return lines[0].strip() if lines else None


def listeners(ports: list[int]) -> dict[str, str]:
    """Return who listens on the ports that are taken, by port: the containers that publish it, or
    "another program"."""
    said = b"".join(read(f"/proc/net/{kind}") or b"" for kind in ("tcp", "tcp6"))
    taken = listening(said.decode("ascii", "replace").splitlines())
    return {str(port): _holder(port) for port in ports if port in taken}


def listening(lines: Sequence[str]) -> set[int]:
    """Return the ports on which programs listen.

    + lines: of /proc/net/tcp; the second column is the local address in hexadecimal, the fourth the
      state
    """
    columns = [line.split() for line in lines]
    return {
        int(each[1].rpartition(":")[2], 16)
        for each in columns
        if len(each) > 3 and each[3] == _LISTEN
    }


def _holder(port: int) -> str:
    said = try_docker("ps", "--filter", f"publish={port}", "--format", "{{.Names}}", patience=8)
    # Several containers may publish one port, each at another address.
    return " ".join(said.text.split()) if said.code == 0 and said.text else _UNKNOWN_HOLDER


def addresses(name: str) -> list[str]:
    """Return the IPv4 addresses to which this machine resolves the name of a host; none without an
    answer within 10 seconds."""
    said = try_ask(["getent", "ahostsv4", name], os.environ, patience=10)
    return sorted({line.split()[0] for line in said.text.splitlines() if line.strip()})


def name_servers() -> list[str]:
    """Return the IPv4 addresses of the name servers that Docker's resolver asks over the network.

    These are the servers in the engine's configuration, or else those of this machine. Addresses on
    loopback are left out: the machine itself asks them. Raises Undecided if the configuration of
    the engine or of the machine is not understood.
    """
    daemon = (read("/var/run/docker.pid") or b"").decode("ascii", "replace").strip()
    options = read(f"/proc/{daemon}/cmdline") if daemon else None
    texts = [
        (read(path) or b"").decode("utf-8", "replace")
        for path in (
            "/etc/docker/daemon.json",
            "/etc/resolv.conf",
            "/run/systemd/resolve/resolv.conf",
        )
    ]
    words = (options or b"").decode("utf-8", "replace").split("\0")
    try:
        return asked_over_the_network(words, *texts)
    except (ValueError, AttributeError, TypeError):
        raise Undecided(
            "the name servers that Docker asks are not understood: see /etc/docker/daemon.json and"
            " /etc/resolv.conf"
        ) from None


def asked_over_the_network(
    options: Sequence[str], daemon: str, resolv: str, upstream: str
) -> list[str]:
    """Return the name servers that Docker's resolver asks over the network. Raises ValueError,
    AttributeError or TypeError if the texts are not what they should be.

    + options: the engine's command line
    + daemon: the text of the engine's configuration file
    + resolv: the text of the machine's resolv.conf
    + upstream: the text of the resolv.conf that systemd-resolved writes
    """
    configured = json.loads(daemon.strip() or "{}")
    servers = [*_options(options), *configured.get("dns", [])]
    if not servers:
        servers = _listed(resolv)
        if servers == [_STUB]:
            servers = _listed(upstream)
    found = [ipaddress.ip_address(server) for server in servers if "%" not in server]
    return [
        str(server)
        for server in dict.fromkeys(found)
        if isinstance(server, ipaddress.IPv4Address) and not server.is_loopback
    ]


def _options(words: Sequence[str]) -> list[str]:
    """Return the values of the option --dns of a command line, in both of its spellings."""
    return [
        after if word == "--dns" else word.removeprefix("--dns=")
        for word, after in itertools.zip_longest(words, words[1:], fillvalue="")
        if word.split("=")[0] == "--dns"
    ]


def _listed(text: str) -> list[str]:
    words = [line.split() for line in text.splitlines()]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
