"""What a run tells about itself while it goes on, for a display or a test to follow.

pyinfra's `--json` speaks once, at the end, and not at all when a run aborts. Events are one JSON
object a line: the fields of one of these classes, and as `event` its name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from sopslab.errors import Exit
from sopslab.model.steps import Step
from sopslab.model.wire import decode, encode


@dataclass(frozen=True)
class Operation:
    """An operation of a run: the step that it belongs to, and what it does."""

    step: str
    label: str

    @property
    def belongs_to(self) -> Step:
        """The step, as one of ours."""
        return Step.called(self.step)

    @override
    def __str__(self) -> str:
        return f"{self.step} | {self.label}" if self.step else self.label


@dataclass(frozen=True)
class Planned:
    """A run begins, with these operations in this order."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Started:
    """An operation begins."""

    operation: Operation


@dataclass(frozen=True)
class Ended:
    """An operation has ended, after `seconds`; `notes` explain it, `errors` are sentences."""

    operation: Operation
    changed: bool
    failed: bool
    seconds: float
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoesOn:
    """A run is at work, and has nothing else to tell: whoever listens knows that it is there."""


@dataclass(frozen=True)
class Refused:
    """A run does not begin, or not go on: it exits with `code`."""

    code: int
    problems: tuple[str, ...]

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return Exit(self.code)


@dataclass(frozen=True)
class SeatWorks:
    """A seat of a room is at something, said in a few words."""

    seat: str
    doing: str


@dataclass(frozen=True)
class SeatEnded:
    """A seat of a room is done with a verb of `sopslab`, or cannot do it, after `seconds`.

    `code` is the exit code, `changed` the number of changes, and `problems` are sentences; `answer`
    is the JSON object that the verb printed there, "" without one.
    """

    seat: str
    code: int
    changed: int
    seconds: float
    problems: tuple[str, ...] = ()
    answer: str = ""


Event = Planned | Started | Ended | GoesOn | Refused | SeatWorks | SeatEnded
_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Planned, Started, Ended, GoesOn, Refused, SeatWorks, SeatEnded)
}


def to_line(event: Event) -> str:
    """Return an event as one line of JSON."""
    return json.dumps({"event": type(event).__name__.lower(), **encode(event)}) + "\n"


def from_line(line: str) -> Event:
    """Return the event that a line tells of. Raises ValueError, KeyError or AttributeError for
    others."""
    fields = json.loads(line)
    event: Event = decode(_KINDS[fields.pop("event")], fields)
    return event
