"""Where the time of some work went, folded from looks at what ran meanwhile. Nothing is looked at
here.

What runs belongs to an owner: a container, or the bench. A look has what each owner has used in
all, which is exact, and what each living process has. What processes use that begin and end between
two looks is only in the former: it is the owner's as `BRIEF`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

# The owner of what the bench starts.
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
    """One moment: seconds on the clock, and by owner the processor seconds that all of it has used
    and the memory in bytes that it has now."""

    at: float
    used: Mapping[str, float]
    memory: Mapping[str, int]
    processes: Mapping[Identity, Seen]


@dataclass(frozen=True)
class Profile:
    """Where the time went.

    `steps` are seconds on the clock, in order; `spent` are processor seconds by step, group and
    component; `peaks` are MiB by group and component, and those of a whole group by an empty name.
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
        """Return processor seconds added up, by some of step (0), group (1) and component (2)."""
        found: dict[tuple[str, ...], float] = defaultdict(float)
        for path, seconds in self.spent.items():
            found[tuple(path[key] for key in keys)] += seconds
        return dict(found)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the report keeps it, with what is worth a hundredth of a second."""
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
        """Return what `as_dict` has kept."""
        return Profile(
            kept["seconds"],
            kept["steps"],
            {(step, group, name): seconds for step, group, name, seconds in kept["spent"]},
            {(group, name): mib for group, name, mib in kept["peaks"]},
        )


def fold(looks: Sequence[Look], groups: Mapping[str, str], steps: Steps = ()) -> Profile:
    """Return where the time between the first look and the last one went.

    + groups: by owner, the group that it is shown as; other owners are left out
    + steps: what the work says of its steps, of which the last ended with the work
    """
    bounds = _bounds(looks[0].at, looks[-1].at, steps)
    spent: dict[tuple[str, str, str], float] = defaultdict(float)
    highest = dict(looks[0].used)
    # What an owner has used without being seen; less than nothing where clocks round differently.
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
    """Return the profile in the middle by processor seconds: of an even number, the upper one."""
    ordered = sorted(profiles, key=lambda one: one.processor)
    return ordered[len(ordered) // 2]


def _bounds(began: float, ended: float, steps: Steps) -> list[tuple[str, float, float]]:
    """Return name, begin and end of each step. A run ends soon after its last step, and what it
    does before the first takes seconds: imports, and the looks that foretell its operations."""
    if not steps:
        return [("", began, ended)]
    at = max(ended - sum(seconds for _, seconds in steps), began)
    found = [(START, began, at)]
    for name, seconds in steps:
        until = min(at + seconds, ended)
        found.append((name, at, until))
        at = until
    # What rounding leaves at the end.
    name, begin, _ = found[-1]
    return [*found[:-1], (name, begin, ended)]


def _shares(
    began: float, ended: float, bounds: Sequence[tuple[str, float, float]]
) -> Iterator[tuple[str, float]]:
    """Yield the steps that a stretch of time is in, and which part of it."""
    length = ended - began
    for step, begin, end in bounds:
        overlap = min(ended, end) - max(began, begin)
        if overlap > 0:
            yield step, overlap / length


def _peaks(looks: Sequence[Look], groups: Mapping[str, str]) -> dict[tuple[str, str], float]:
    """Return the most MiB that was seen at once of each group and of its components."""
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
