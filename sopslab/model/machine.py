"""What the lab's machine offers, and on which operating systems a lab can be made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MachineState:
    """What a machine offers.

    Sizes are in KiB. `bounding` is the bit mask of the capability bounding set. `manager` is the
    command of its package manager, "" if that is not a known one. `missing` are those of the wanted
    commands that it lacks.
    """

    uid: int = 0
    gid: int = 0
    user: str = ""
    machine: str = ""
    cpus: int = 0
    memory_kib: int = 0
    disk_kib: int = 0
    store_entries: int = 0
    writable: bool = False
    cgroup: int = 0
    bounding: int = 0
    last_capability: int = 0
    inotify_instances: int = 0
    inotify_watches: int = 0
    manager: str = ""
    missing: tuple[str, ...] = ()

    @property
    def restricted(self) -> bool:
        """Whether the bounding set lacks a capability that `--privileged` asks for."""
        wanted = (1 << (self.last_capability + 1)) - 1
        return bool(wanted & ~self.bounding)


# The usual name of a system, and the Linux that people run on it.
_GUESTS = {
    "Darwin": ("macOS", "a machine of Lima, colima or OrbStack"),
    "Windows": ("Windows", "WSL2"),
}


def elsewhere(system: str) -> str:
    """Return in a sentence where to make a lab if the system is not Linux; "" on Linux.

    + system: the name of the system, from `platform.system`
    """
    if system == "Linux":
        return ""
    name, guest = _GUESTS.get(system, (system, "a virtual machine with Debian"))
    return (
        f"a lab is made on Linux, and this is {name}: make it in {guest}, or in the devcontainer of"
        " the project; nothing was changed"
    )
