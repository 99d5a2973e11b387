"""Looks at the processes of this machine during some work: who owns them, and what they use."""

from __future__ import annotations

import os
import re
import resource
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

from tests.bench.profile import OURS, Identity, Look, Seen

# The time between two looks. A look takes two or three milliseconds, so this is short enough to see
# most programs, and long enough to be cheap.
EVERY_S = 0.05
# A process that `docker exec` starts is moved into the container within this time.
_SETTLED_S = 2.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# The kernel cuts the names of commands to this length.
_CUT = 15
_CONTAINER = re.compile(r"^.*?/(?:docker[-/])([0-9a-f]{64})(?:\.scope)?")


@dataclass(frozen=True)
class Stat:
    """What /proc says of a process: processor time in ticks, memory in bytes."""

    command: str
    parent: int
    own: int
    children: int
    began: int
    memory: int


@dataclass(frozen=True)
class Place:
    """The files in which the kernel tells what a container uses."""

    processor: Path
    memory: Path


class Machine:
    """The processes of containers on this machine, and those that `root` starts from now on.

    + root: the process whose descendants belong to the bench
    + proc, cgroups: where the kernel shows processes and control groups
    """

    def __init__(
        self, root: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
    ) -> None:
        self._root = root
        self._proc = proc
        self._cgroups = cgroups
        self._owners: dict[Identity, str] = {}
        self._names: dict[tuple[Identity, str], str] = {}
        self._places: dict[str, Place] = {}
        # The numbers of living processes that have no owner. Processes that `root` has started
        # before work for something else, so they are among them.
        self._others = {
            number
            for number in self._numbers()
            if (stat := self._stat(number)) and stat.parent == root
        }

    @property
    def containers(self) -> set[str]:
        """The ids of the containers whose use the looks have found."""
        return set(self._places)

    def look(self) -> Look:
        """Return a look at the present moment."""
        numbers = self._numbers()
        self._others &= set(numbers)
        ours = {self._root}
        # Ended children come first: a process that ends after this line is then in neither sum,
        # instead of in both.
        used = {OURS: of_children()}
        processes: dict[Identity, Seen] = {}
        for number in numbers:
            if number in self._others or number == self._root:
                continue
            if (stat := self._stat(number)) is None:
                continue
            identity = (number, stat.began)
            owner = self._owner(identity, stat, ours)
            if owner is None:
                continue
            if owner == OURS:
                ours.add(number)
                used[OURS] += (stat.own + stat.children) / _TICKS
            elif owner not in self._places:
                self._find(owner, number)
            name = self._name(identity, stat.command)
            processes[identity] = Seen(owner, name, stat.own / _TICKS, stat.memory)
        memory = {OURS: sum(one.memory for one in processes.values() if one.owner == OURS)}
        for container, place in self._places.items():
            if text := _read(place.processor):
                used[container] = usage(text)
                memory[container] = resident(_read(place.memory))
        return Look(time.monotonic(), used, memory, processes)

    def _numbers(self) -> list[int]:
        names = (path.name for path in self._proc.iterdir())
        return sorted(int(name) for name in names if name.isdigit())

    def _stat(self, number: int) -> Stat | None:
        return parsed(_read(self._proc / str(number) / "stat"))

    def _owner(self, identity: Identity, stat: Stat, ours: set[int]) -> str | None:
        """Return the owner of a process, None if it has none. A process that has none after
        `_SETTLED_S` is not asked for again."""
        if stat.parent in ours:
            self._owners[identity] = OURS
        known = self._owners.get(identity)
        if known is not None:
            return known
        container = container_of(self._cgroup(identity[0]))
        if container is None:
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - stat.began / _TICKS
            if age > _SETTLED_S:
                self._others.add(identity[0])
            return None
        self._owners[identity] = container
        return container

    def _find(self, container: str, number: int) -> None:
        """Note in which files the kernel tells what a container uses, if they are there already: a
        container's first process enters its control groups one after the other."""
        place = place_of(self._cgroup(number), self._cgroups)
        if place is not None and place.processor.exists():
            self._places[container] = place

    def _cgroup(self, number: int) -> str:
        return _read(self._proc / str(number) / "cgroup")

    def _name(self, identity: Identity, command: str) -> str:
        key = (identity, command)
        if key not in self._names:
            words = _read(self._proc / str(identity[0]) / "cmdline").rstrip("\0").split("\0")
            self._names[key] = name_of(command, words)
        return self._names[key]


@contextmanager
def watching(machine: Machine) -> Iterator[list[Look]]:
    """Look at the machine before the block, again and again during it, and after it."""
    looks = [machine.look()]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(EVERY_S):
            looks.append(machine.look())

    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(watch)
        try:
            yield looks
        finally:
            ended.set()
    # Raises an error of the thread, which would otherwise be lost, and the figures wrong.
    watched.result()
    looks.append(machine.look())


def of_children() -> float:
    """Return the processor seconds of the processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parsed(text: str) -> Stat | None:
    """Return what the text of a file `stat` says of a process; None if the process is gone."""
    start, _, rest = text.rpartition(")")
    fields = rest.split()
    if len(fields) < 22:
        return None
    own, children = (sum(map(int, fields[first : first + 2])) for first in (11, 13))
    command = start.partition("(")[2]
    memory = int(fields[21]) * _PAGE
    return Stat(command, int(fields[1]), own, children, int(fields[19]), memory)


def name_of(command: str, words: Sequence[str]) -> str:
    """Return the name that a process is shown by: its program, or for Python the module or script.

    + command: the name that the kernel has, which may be cut
    + words: the command line of the process
    """
    program = PurePath(words[0]).name if words else ""
    if program.startswith("python"):
        following = iter(words[1:])
        for word in following:
            if word == "-m":
                return next(following, program)
            if not word.startswith("-"):
                return PurePath(word).name
        return program
    if len(command) == _CUT and program.startswith(command):
        return program
    return command


def container_of(text: str) -> str | None:
    """Return the id of the container that a file `cgroup` names, None without one."""
    for line in text.splitlines():
        if found := _CONTAINER.match(line):
            return found[1]
    return None


def place_of(text: str, cgroups: Path) -> Place | None:
    """Return the files in which the kernel tells what a container uses, in cgroup v1 or v2; None if
    a process is in no container.

    + text: the file `cgroup` of one of the container's processes
    """
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if top := _CONTAINER.match(path):
            found[controllers] = top[0].lstrip("/")
    for controllers, path in found.items():
        if "cpuacct" in controllers.split(","):
            return Place(
                cgroups / controllers / path / "cpuacct.usage",
                cgroups / "memory" / found.get("memory", path) / "memory.stat",
            )
    if "" not in found:
        return None
    whole = cgroups / found[""]
    return Place(whole / "cpu.stat", whole / "memory.stat")


def usage(text: str) -> float:
    """Return the processor seconds that a container has used; 0 if the text does not say it.

    + text: the file `cpu.stat` or `cpuacct.usage`
    """
    if found := re.search(r"^usage_usec (\d+)$", text, re.M):
        return int(found[1]) / 1e6
    if found := re.search(r"^(\d+)$", text, re.M):
        return int(found[1]) / 1e9
    return 0.0


def resident(text: str) -> int:
    """Return the bytes of memory that a container takes, without caches that the kernel can take
    back; 0 if the text does not say it.

    + text: the file `memory.stat`
    """
    values = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    return int(values.get("total_rss") or values.get("anon") or 0)


def _read(path: Path) -> str:
    """Return the text of a file of the kernel; "" if the process or container is gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
