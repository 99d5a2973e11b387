"""Where the time of some work went, computed from looks at the processes that ran meanwhile. The
looks themselves are made elsewhere.

Every process belongs to an owner: a container, or the bench. A look has the processor seconds that
each owner has used in all, which is exact, and those of each living process. A process that begins
and ends between two looks is only in the sum of its owner: its share is shown as `BRIEF`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

# The owner of the processes that the bench starts.
OURS = "our processes"
BRIEF = "too brief to be seen"
# The part of the work before its first step.
START = "before the first step"

# The names of steps with their seconds, in order.
Steps = Sequence[tuple[str, float]]
# The number of a process, and when it began.
Identity = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """A process at one moment: the processor seconds that it has used, without those of its
    children, and its resident memory in bytes."""

    owner: str
    name: str
    processor: float
    memory: int


@dataclass(frozen=True)
class Look:
    """One moment: seconds on the clock (`at`); by owner, the processor seconds that it has used in
    all, and the bytes of memory that it has now; and the processes."""

    at: float
    used: Mapping[str, float]
    memory: Mapping[str, int]
    processes: Mapping[Identity, Seen]


@dataclass(frozen=True)
class Profile:
    """Where the time went.

    `steps` are seconds on the clock, in order; `spent` are processor seconds by step, group and
    component; `peaks` are MiB by group and component, where the component "" is the whole group.
    """

    seconds: float = 0.0
    steps: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    peaks: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def processor(self) -> float:
        """All processor seconds."""
        return sum(self.spent.values())

    def by(self, *keys: int) -> dict[tuple[str, ...], float]:
        """Return sums of processor seconds by these keys: step (0), group (1), component (2)."""
        found: dict[tuple[str, ...], float] = defaultdict(float)
        for path, seconds in self.spent.items():
            found[tuple(path[key] for key in keys)] += seconds
        return dict(found)

    def as_dict(self) -> dict[str, Any]:
        """Return the profile as the report keeps it, without entries that round to 0.00 s."""
        return {
            "seconds": round(self.seconds, 2),
            "steps": {name: round(seconds, 2) for name, seconds in self.steps.items()},
            "spent": [
                [*path, round(seconds, 3)]
                for path, seconds in self.spent.items()
                if seconds >= 0.005
            ],
            "peaks": [[*path, round(mib, 1)] for path, mib in self.peaks.items()],
        }

    @staticmethod
    def of_dict(kept: Mapping[str, Any]) -> Profile:
        """Return the profile that `as_dict` has made a dictionary of."""
        return Profile(
            kept["seconds"],
            kept["steps"],
            {(step, group, name): seconds for step, group, name, seconds in kept["spent"]},
            {(group, name): mib for group, name, mib in kept["peaks"]},
        )


def fold(looks: Sequence[Look], groups: Mapping[str, str], steps: Steps = ()) -> Profile:
    """Return where the time between the first look and the last one went.

    + groups: by owner, the group that the owner is shown in; other owners are left out
    + steps: the steps that the work itself reports; the last one ends with the work
    """
    bounds = _bounds(looks[0].at, looks[-1].at, steps)
    spent: dict[tuple[str, str, str], float] = defaultdict(float)
    highest = dict(looks[0].used)
    # Seconds that no look has seen at a process; negative if clocks are rounded differently.
    unseen: dict[tuple[str, str], float] = defaultdict(float)
    for before, after in pairwise(looks):
        shares = list(_shares(before.at, after.at, bounds))
        for owner, group in groups.items():
            grown = max(after.used.get(owner, 0.0) - highest.get(owner, 0.0), 0.0)
            highest[owner] = highest.get(owner, 0.0) + grown
            for step, share in shares:
                unseen[step, group] += grown * share
        for process, seen in after.processes.items():
            if seen.owner not in groups:
                continue
            group = groups[seen.owner]
            earlier = before.processes.get(process)
            grown = max(seen.processor - (earlier.processor if earlier else 0.0), 0.0)
            for step, share in shares:
                spent[step, group, seen.name] += grown * share
                unseen[step, group] -= grown * share
    for (step, group), seconds in unseen.items():
        if seconds > 0:
            spent[step, group, BRIEF] += seconds
    walls: dict[str, float] = defaultdict(float)
    for step, began, ended in bounds:
        walls[step] += ended - began
    return Profile(
        looks[-1].at - looks[0].at,
        dict(walls),
        {path: seconds for path, seconds in spent.items() if seconds > 0},
        _peaks(looks, groups),
    )


def median(profiles: Iterable[Profile]) -> Profile:
    """Return the median profile by processor seconds; of an even number, the upper middle one."""
    ordered = sorted(profiles, key=lambda one: one.processor)
    return ordered[len(ordered) // 2]


def _bounds(began: float, ended: float, steps: Steps) -> list[tuple[str, float, float]]:
    """Return name, begin and end of each step. The steps are counted back from the end, because a
    run ends soon after its last step, but takes seconds before the first: for imports, and for the
    looks that predict its operations."""
    if not steps:
        return [("", began, ended)]
    at = max(ended - sum(seconds for _, seconds in steps), began)
    found = [(START, began, at)]
    for name, seconds in steps:
        until = min(at + seconds, ended)
        found.append((name, at, until))
        at = until
    # The last step gets what rounding leaves at the end.
    name, begin, _ = found[-1]
    return [*found[:-1], (name, begin, ended)]


def _shares(
    began: float, ended: float, bounds: Sequence[tuple[str, float, float]]
) -> Iterator[tuple[str, float]]:
    """Yield the steps that a period overlaps, each with the share of the period that is in it."""
    length = ended - began
    for step, begin, end in bounds:
        overlap = min(ended, end) - max(began, begin)
        if overlap > 0:
            yield step, overlap / length


def _peaks(looks: Sequence[Look], groups: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return the most MiB that one look has seen of each group, and of each of its components."""
    peaks: dict[tuple[str, str], float] = defaultdict(float)
    for look in looks:
        now: dict[tuple[str, str], float] = defaultdict(float)
        for owner, size in look.memory.items():
            if owner in groups:
                now[groups[owner], ""] += size / 2**20
        for seen in look.processes.values():
            if seen.owner in groups:
                now[groups[seen.owner], seen.name] += seen.memory / 2**20
        for path, mib in now.items():
            peaks[path] = max(peaks[path], mib)
    return dict(peaks)
