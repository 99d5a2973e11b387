"""What the machine that carries the lab offers."""

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
    systemd: bool
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
