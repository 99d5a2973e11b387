#!/usr/bin/python3 -IS
"""An OCI runtime in front of runc, for hosts whose capability bounding set lacks what
`--privileged` asks for: runc would end with "unable to apply caps: operation not permitted". It
takes from the container's process what this host cannot give, and becomes runc.

It is installed as a program of its own, for the machine's Python, and starts with each process in a
container: so it imports nothing of ours, and little else.
"""

from __future__ import annotations

import json
import os
import re
import sys

# As `typing` has it, which would double the time that this takes to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# In the order of their numbers in linux/capability.h; CapBnd is a bit mask over them.
NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
PERFMON BPF CHECKPOINT_RESTORE
"""
# With what runc is told the folder or the file that describes the process.
OPTIONS = {"--bundle": "bundle", "-b": "bundle", "--process": "process", "-p": "process"}


def missing(status: str) -> set[str]:
    """Return the capabilities that a process cannot have, by its /proc/self/status."""
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    mask = int(found.group(1), 16) if found else -1
    return {f"CAP_{name}" for bit, name in enumerate(NAMES.split()) if not mask >> bit & 1}


def relax(process: dict[str, Any], lacking: set[str]) -> None:
    """Take from the description of a process what it cannot have here."""
    sets = process.get("capabilities") or {}
    for kind, names in sets.items():
        sets[kind] = [name for name in names or [] if name not in lacking]
    # A lower one needs CAP_SYS_RESOURCE.
    if (process.get("oomScoreAdj") or 0) < 0:
        process["oomScoreAdj"] = 0


def described(arguments: list[str]) -> tuple[str, str]:
    """Return the file in which a call of runc describes a process, and where in it: nowhere, the
    file itself is the description. Without such a file it is empty."""
    verb, given = "", {"bundle": ".", "process": ""}
    for number, argument in enumerate(arguments, 1):
        name, equals, text = argument.partition("=")
        if argument in OPTIONS:
            given[OPTIONS[argument]] = "".join(arguments[number : number + 1])
        elif equals and name.startswith("--") and name in OPTIONS:
            given[OPTIONS[name]] = text
        elif argument in ("create", "run", "exec") and not verb:
            verb = argument
    if verb == "exec":
        return given["process"], ""
    return (f"{given['bundle']}/config.json", "process") if verb else ("", "")


def main() -> None:
    """Relax what runc is told, and become runc."""
    file, part = described(sys.argv[1:])
    if file:
        with open("/proc/self/status") as status:
            lacking = missing(status.read())
        # In place: it keeps its owner and mode, and nobody else reads it before runc does.
        with open(file, "r+", encoding="utf-8") as config:
            told = json.load(config)
            relax((told.get(part) or {}) if part else told, lacking)
            config.seek(0)
            json.dump(told, config)
            config.truncate()
    os.execvp("runc", ["runc", *sys.argv[1:]])


if __name__ == "__main__":
    main()
