"""The preflight: every lack is told with the number found and the number needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sopslab.facts.host import MachineState
from sopslab.preflight import find_problems, find_taken_ports

GIB = 1024 * 1024  # in KiB
LARGE = MachineState(
    uid=1000,
    gid=1000,
    user="ada",
    machine="x86_64",
    cpus=2,
    memory_kib=3 * GIB,
    disk_kib=4 * GIB,
    store_entries=14,
    writable=True,
    cgroup=2,
    systemd=True,
    bounding=0x1FFFFFFFFFF,
    last_capability=40,
    inotify_instances=128,
    inotify_watches=65536,
    sudo=True,
    apt=True,
    missing=(),
)
SMALL = replace(LARGE, cpus=1, memory_kib=GIB, disk_kib=GIB // 2)
PORTS = {8418: "lab-git", 6443: "lab-control-plane"}


def problems(machine: MachineState, *, running: bool = False, force: bool = False) -> list[str]:
    return find_problems(machine, running=running, force=force)


def test_a_machine_that_is_just_large_enough_passes() -> None:
    assert problems(LARGE) == []


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (replace(LARGE, cpus=1), "1 CPU found, 2 needed"),
        (replace(LARGE, memory_kib=3 * GIB - 200_000), "2.8 GiB memory free, 3.0 GiB needed"),
        (replace(LARGE, disk_kib=GIB // 2), "0.5 GiB disk free, 4.0 GiB needed"),
        (replace(LARGE, store_entries=0), "4.0 GiB disk free, 20.0 GiB needed"),
    ],
)
def test_what_is_too_small_is_told_in_numbers(machine: MachineState, expected: str) -> None:
    (problem,) = problems(machine)
    assert problem == f"the machine is too small ({expected}); `--force` goes on anyway"


def test_everything_that_is_too_small_is_told_in_one_sentence() -> None:
    (problem,) = problems(SMALL)
    assert problem.count("needed") == 3


def test_the_memory_that_the_labs_own_cluster_takes_is_not_missed() -> None:
    assert problems(replace(LARGE, memory_kib=GIB), running=True) == []


def test_force_lets_a_small_machine_pass() -> None:
    assert problems(SMALL, force=True) == []


@pytest.mark.parametrize("force", [False, True])
def test_force_does_not_overrule_what_cannot_work(force: bool) -> None:
    assert problems(replace(LARGE, writable=False, machine="riscv64"), force=force) == [
        "the root of the lab is not writable: choose another with SOPSLAB_ROOT",
        "the machine is riscv64: x86_64 or aarch64 is needed",
    ]


def test_whoever_holds_a_port_is_named() -> None:
    assert find_taken_ports({6443: "other-control-plane", 8418: "another program"}, PORTS) == [
        "port 6443 is taken by other-control-plane: stop it, or choose another port for the lab",
        "port 8418 is taken by another program: stop it, or choose another port for the lab",
    ]


def test_the_labs_own_containers_may_hold_its_ports() -> None:
    assert find_taken_ports({8418: "lab-git", 6443: "lab-control-plane"}, PORTS) == []


def test_the_labs_own_containers_may_not_hold_each_others_ports() -> None:
    assert len(find_taken_ports({8418: "lab-control-plane"}, PORTS)) == 1


def test_a_machine_with_every_capability_is_not_restricted() -> None:
    assert not LARGE.restricted
    assert replace(LARGE, bounding=LARGE.bounding & ~(1 << 24)).restricted
    assert replace(LARGE, bounding=0xA80425FB).restricted
