"""What a machine needs before it is worth starting a lab. Pure: numbers in, sentences out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sopslab.config.engine import engine_host
from sopslab.config.settings import Settings
from sopslab.model.engine import RUNTIME, EngineState
from sopslab.model.machine import MachineState

_GIB = 1024 * 1024  # in KiB
_CPUS = 2
# One idle cluster with Flux takes 0.7 GiB, and the largest link of a build 2 GiB.
_MEMORY_KIB = 3 * _GIB
# The store and the images take 2.7 GB. While they are built, the modules and what is compiled from
# them take 14 GB.
_DISK_KIB = 4 * _GIB
_DISK_TO_BUILD_KIB = 20 * _GIB


def find_problems(machine: MachineState, settings: Settings, *, running: bool) -> list[str]:
    """Return a sentence for each thing that the machine lacks, with what was found and what is
    needed.

    + machine: what the machine has
    + settings: the lab's settings; `force` accepts a machine that is only too small
    + running: whether the lab's cluster is there, so that the lab already uses the memory and the
        disk that it needs
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
    # With `auto`, it is known later whether anything is built.
    building = settings.artifact_source == "modules" and not machine.store_entries
    if building or not running:
        small += _lacks_of_disk(machine, _DISK_TO_BUILD_KIB if building else _DISK_KIB)
    return problems + _too_small(small, settings)


def find_building_problems(machine: MachineState, settings: Settings) -> list[str]:
    """Return a sentence if the disk is too small to build everything from modules.

    + machine: what the machine has
    + settings: the lab's settings; `force` accepts a machine that is too small
    """
    return _too_small(_lacks_of_disk(machine, _DISK_TO_BUILD_KIB), settings)


def _lacks_of_disk(machine: MachineState, needed: int) -> list[str]:
    if machine.disk_kib >= needed:
        return []
    return [f"{_gib(machine.disk_kib)} disk free, {_gib(needed)} needed"]


def _too_small(lacks: Sequence[str], settings: Settings) -> list[str]:
    if not lacks or settings.force:
        return []
    return [f"the machine is too small ({'; '.join(lacks)}); `--force` goes on anyway"]


def find_sudo_problems(sudo: str) -> list[str]:
    """Return a sentence if a run that is not root's cannot have root's rights.

    + sudo: what `sudo_state` saw
    """
    if sudo == "password":
        return [
            "sudo asks for a password, which a run cannot answer: let it ask this account for none"
            " (NOPASSWD in /etc/sudoers.d), or run as root"
        ]
    if sudo == "missing":
        return ["root's rights are needed, and there is no sudo: install it, or run as root"]
    return []


# The folders that a snap may read: what is not hidden in a home. Media it may read only where
# somebody has connected its plug, which does not connect by itself.
_SEEN_BY_SNAPS = re.compile(r"/home/[^/]+/[^./]|/root/[^./]")
_MEDIA = re.compile(r"/media/|/run/media/|/mnt/")
# Where the engine of the system listens, which a run may start.
_OF_THE_SYSTEM = frozenset({"unix:///run/docker.sock", "unix:///var/run/docker.sock"})
# With these storage drivers, a kind node chooses another snapshotter than the one for which its
# images are unpacked.
_OTHER_SNAPSHOTTERS = frozenset({"zfs", "fuse-overlayfs"})


def find_engine_problems(engine: EngineState, settings: Settings) -> list[str]:
    """Return a sentence for each reason why a lab does not work with this Docker.

    + engine: the state of the Docker engine, and its traits
    + settings: the lab's settings
    """
    traits = engine.traits
    if traits.podman:
        return [
            "`docker` is Podman's here, and the lab needs Docker itself: remove podman-docker or"
            " unset DOCKER_HOST, then install Docker; nothing was changed"
        ]
    if _is_elsewhere(traits.endpoint):
        return [
            f"the Docker context {traits.context} leads to another machine, and a lab needs the"
            " Docker of this one: `docker context use default` and unset DOCKER_CONTEXT, or name"
            " the service of a CI job in DOCKER_HOST"
        ]
    if not engine.answers and traits.endpoint not in {"", *_OF_THE_SYSTEM}:
        return [
            f"the Docker context {traits.context} leads to {traits.endpoint}, where no Docker"
            " answers: `docker context use default` and unset DOCKER_CONTEXT, or start that one"
        ]
    problems = []
    if "name=rootless" in traits.security:
        problems.append(
            "this Docker is rootless, so rules of this machine's firewall do not keep its traffic"
            " here: use the Docker of the system (`docker context use default`)"
        )
    elif "Docker Desktop" in traits.system:
        problems.append(
            "this is Docker Desktop, whose traffic rules of this machine's firewall do not keep"
            " here: install Docker in this system itself (`docker context use default`)"
        )
    if "name=userns" in traits.security:
        problems.append(
            "this Docker maps users (`userns-remap`), and a node has to be privileged: take"
            " `userns-remap` out of /etc/docker/daemon.json and restart Docker"
        )
    if (
        traits.driver in _OTHER_SNAPSHOTTERS
        and settings.cluster_provider == "kind"
        and settings.artifact_source != "upstream"
    ):
        problems.append(
            f"Docker's storage driver is {traits.driver}, with which a node does not find the"
            " images that are built into it: use overlay2, or set `artifact_source: upstream`"
        )
    if traits.snap:
        problems += _find_snap_problems(settings.root, traits.media)
    if traits.proxies:
        problems.append(
            f"{traits.proxies} has proxies, which Docker would put into every container and image"
            " of the lab: take `proxies` out of it, or set DOCKER_CONFIG to a folder without them"
        )
    return problems


def _find_snap_problems(root: str, media: bool) -> list[str]:
    """Return a sentence if Docker's snap cannot read the root of the lab.

    + media: whether it may read media
    """
    if _SEEN_BY_SNAPS.match(root) or (media and _MEDIA.match(root)):
        return []
    fix = (
        "`sudo snap connect docker:removable-media`"
        if _MEDIA.match(root)
        else "set SOPSLAB_ROOT to a folder of your home that is not hidden"
    )
    return [
        f"this Docker is a snap, which cannot read {root}: {fix}, or install the distribution's"
        " Docker"
    ]


def _is_elsewhere(endpoint: str) -> bool:
    try:
        return engine_host(endpoint) is not None
    except ValueError:
        return True


def find_consents(machine: MachineState, engine: EngineState) -> list[str]:
    """Return a sentence for each thing of the user's that would have to be changed or completed.

    + machine: what the machine has
    + engine: the state of its Docker engine
    """
    sentences = []
    if engine.reason == "client":
        sentences.append(
            "a client of Docker is here, but no engine: start the engine that it belongs to, or"
            " install the distribution's with `--install-docker`"
        )
    if machine.restricted and engine.configured and engine.default_runtime != RUNTIME:
        sentences.append(
            "containers cannot be privileged here without the lab's OCI runtime, and"
            " /etc/docker/daemon.json is yours: `--install-docker` adds it there as the default"
        )
    return sentences


def find_taken_ports(listeners: Mapping[int, str], ports: Mapping[int, str]) -> list[str]:
    """Return a sentence for each port that something else has taken.

    + listeners: what listens on each port that is in use: a program, or containers, whose names
        have blanks between them. They have the same port at different addresses
    + ports: the ports that are needed, and the container of the lab that may hold each
    """
    return [
        f"port {port} is taken by {holder}: stop it, or choose another port for the lab"
        for port, holder in sorted(listeners.items())
        if ports[port] not in holder.split()
    ]


def _gib(kib: int) -> str:
    # Rounded down: what is too little must not look like enough.
    return f"{kib * 10 // _GIB / 10} GiB"
