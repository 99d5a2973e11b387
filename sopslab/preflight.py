"""What a machine must offer before a lab is worth starting. Pure: numbers in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping

from sopslab.facts.host import MachineState

_GIB = 1024 * 1024  # in KiB
# One idle cluster with Flux takes 0.7 GiB, and the largest link of a build 2 GiB.
_MEMORY_KIB = 3 * _GIB
_CPUS = 2


def find_problems(
    machine: MachineState,
    disk_kib: int,
    listeners: Mapping[int, str],
    ports: Mapping[int, str],
    *,
    force: bool,
) -> list[str]:
    """Return a sentence for each thing that the machine lacks, with the number found and needed.

    + disk_kib: free space that is needed, in KiB
    + listeners: who listens on which port now
    + ports: the ports that are needed, and the container of the lab that may hold each
    + force: let a machine pass that is merely too small
    """
    problems = []
    if not machine.writable:
        problems.append("the root of the lab is not writable: choose another with SOPSLAB_ROOT")
    for port, holder in sorted(listeners.items()):
        if holder != ports[port]:
            problems.append(
                f"port {port} is taken by {holder}: stop it, or choose another port for the lab"
            )
    if machine.machine not in {"x86_64", "aarch64"}:
        problems.append(f"the machine is {machine.machine}: x86_64 or aarch64 is needed")
    small = []
    if machine.cpus < _CPUS:
        small.append(f"{machine.cpus} CPU found, {_CPUS} needed")
    if machine.memory_kib < _MEMORY_KIB:
        small.append(f"{_gib(machine.memory_kib)} memory free, {_gib(_MEMORY_KIB)} needed")
    if machine.disk_kib < disk_kib:
        small.append(f"{_gib(machine.disk_kib)} disk free, {_gib(disk_kib)} needed")
    if small and not force:
        problems.append(f"the machine is too small ({'; '.join(small)}); `--force` goes on anyway")
    return problems


def _gib(kib: int) -> str:
    return f"{kib / _GIB:.1f} GiB"
