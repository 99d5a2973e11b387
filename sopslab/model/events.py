"""What a run reports about itself while it goes on, for a display or a test to follow.

pyinfra's `--json` reports only once, at the end, and not at all when a run aborts. Each event is a
JSON object on one line: the fields of one of these classes, and the name of the class in lower case
as `event`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from typing_extensions import override

from sopslab.errors import Exit
from sopslab.model.steps import Step
from sopslab.model.wire import decode, encode


@dataclass(frozen=True)
class Operation:
    """An operation of a run: its step, and its own label."""

    step: Step
    label: str

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
    """An operation has ended after `seconds`. `notes` explain the outcome, `errors` are
    sentences."""

    operation: Operation
    changed: bool
    failed: bool
    seconds: float
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoesOn:
    """A run is still at work. It sends this when it has nothing else to report, so that a listener
    knows that it is alive."""


@dataclass(frozen=True)
class Refused:
    """A run refuses to begin or to go on, and exits with `code`."""

    code: int
    problems: tuple[str, ...]

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return Exit(self.code)


@dataclass(frozen=True)
class SeatWorks:
    """A seat of a room is at work; `doing` says in a few words on what."""

    seat: str
    doing: str


@dataclass(frozen=True)
class SeatEnded:
    """A seat of a room has finished a verb of `sopslab`, or failed in it, after `seconds`.

    `code` is the exit code, `changed` the number of changes, and `problems` are sentences. `answer`
    is the JSON object that the verb printed on the seat's machine, "" if it printed none.
    """

    seat: str
    code: int
    changed: int
    seconds: float
    problems: tuple[str, ...] = ()
    answer: str = ""


Event = Planned | Started | Ended | GoesOn | Refused | SeatWorks | SeatEnded
_KINDS: dict[str, type[Any]] = {kind.__name__.lower(): kind for kind in get_args(Event)}


def to_line(event: Event) -> str:
    """Return an event as one line of JSON."""
    return json.dumps({"event": type(event).__name__.lower(), **encode(event)}) + "\n"


def from_line(line: str) -> Event:
    """Return the event in a line of JSON. Raises ValueError, KeyError or AttributeError for any
    other line."""
    fields = json.loads(line)
    event: Event = decode(_KINDS[fields.pop("event")], fields)
    return event
