"""What a machine must offer before a lab is worth starting. Pure: numbers in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping

from sopslab.facts.host import MachineState

_GIB = 1024 * 1024  # in KiB
_CPUS = 2
# One idle cluster with Flux takes 0.7 GiB, and the largest link of a build 2 GiB.
_MEMORY_KIB = 3 * _GIB
# Store and images take 3.2 GB; modules and what is compiled of them, 14 GB on the way.
_DISK_KIB = 4 * _GIB
_DISK_TO_BUILD_KIB = 20 * _GIB


def find_problems(machine: MachineState, *, running: bool, force: bool) -> list[str]:
    """Return a sentence for each thing that the machine lacks, with the number found and needed.

    + running: whether the lab's cluster is up, and its memory taken already
    + force: let a machine pass that is merely too small
    """
    problems = []
    if not machine.writable:
        problems.append("the root of the lab is not writable: choose another with SOPSLAB_ROOT")
    if machine.machine not in {"x86_64", "aarch64"}:
        problems.append(f"the machine is {machine.machine}: x86_64 or aarch64 is needed")
    small = []
    if machine.cpus < _CPUS:
        small.append(f"{machine.cpus} CPU found, {_CPUS} needed")
    if not running and machine.memory_kib < _MEMORY_KIB:
        small.append(f"{_gib(machine.memory_kib)} memory free, {_gib(_MEMORY_KIB)} needed")
    disk = _DISK_KIB if machine.store_entries else _DISK_TO_BUILD_KIB
    if machine.disk_kib < disk:
        small.append(f"{_gib(machine.disk_kib)} disk free, {_gib(disk)} needed")
    if small and not force:
        problems.append(f"the machine is too small ({'; '.join(small)}); `--force` goes on anyway")
    return problems


def find_taken_ports(listeners: Mapping[int, str], ports: Mapping[int, str]) -> list[str]:
    """Return a sentence for each port that somebody else holds.

    + listeners: who listens on which port now
    + ports: the ports that are needed, and the container of the lab that may hold each
    """
    return [
        f"port {port} is taken by {holder}: stop it, or choose another port for the lab"
        for port, holder in sorted(listeners.items())
        if holder != ports[port]
    ]


def _gib(kib: int) -> str:
    return f"{kib / _GIB:.1f} GiB"
