"""What the machine that carries the lab offers, and on which systems there can be one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MachineState:
    """What a machine offers. Sizes are KiB; `bounding` is the capability bounding set, a mask;
    `manager` is the command of its package manager, if it has one that is known; `missing` is what
    it lacks of the commands that were asked for."""

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
    bounding: int
    last_capability: int
    inotify_instances: int
    inotify_watches: int
    sudo: bool
    manager: str
    missing: tuple[str, ...]

    @property
    def restricted(self) -> bool:
        """Whether the bounding set lacks a capability that `--privileged` asks for."""
        wanted = (1 << (self.last_capability + 1)) - 1
        return bool(wanted & ~self.bounding)


# What people call a system, and the Linux that they have on it.
_GUESTS = {
    "Darwin": ("macOS", "a machine of Lima, colima or OrbStack"),
    "Windows": ("Windows", "WSL2"),
}


def elsewhere(system: str) -> str:
    """Return where a lab can be made instead of on a system, in a sentence; "" on Linux.

    + system: what `platform.system` calls it
    """
    if system == "Linux":
        return ""
    name, guest = _GUESTS.get(system, (system, "a virtual machine with Debian"))
    return (
        f"a lab is made on Linux, and this is {name}: make it in {guest}, or in the devcontainer of"
        " the project; nothing was changed"
    )
