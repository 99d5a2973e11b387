"""Write the events of a run, collect the notes of the operation that runs now, and know to which
step each operation belongs.

Events are written to the file descriptor that `SOPSLAB_EVENTS_FD` names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

from sopslab.errors import InputError, LabError
from sopslab.model.events import Event, Refused, to_line
from sopslab.model.steps import Step

DESCRIPTOR = "SOPSLAB_EVENTS_FD"

_NAMED = 6
_notes: list[str] = []
# By what pyinfra keeps of each operation.
_steps: WeakKeyDictionary[object, Step] = WeakKeyDictionary()


def assign(step: Step, operations: Iterable[object]) -> None:
    """Note to which step operations belong."""
    for operation in operations:
        _steps[operation] = step


def step_of(operation: object) -> Step:
    """Return the step to which an operation belongs, `OTHER` without one."""
    return _steps.get(operation, Step.OTHER)


def note(text: str) -> None:
    """Add a note to the operation that runs now, for example what had drifted."""
    if text not in _notes:
        _notes.append(text)


def take_notes() -> tuple[str, ...]:
    """Return the notes of operations since the last call, and forget them."""
    taken = tuple(_notes)
    _notes.clear()
    return taken


def named(names: Sequence[str]) -> str:
    """Return names for a note: all if they are few, else the first ones and how many more."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def write(event: Event) -> None:
    """Write one event, if anyone listens."""
    descriptor = os.environ.get(DESCRIPTOR)
    if descriptor is not None:
        left = to_line(event).encode()
        while left:
            left = left[os.write(int(descriptor), left) :]


def refuse(error: LabError) -> None:
    """Write the event that says why the run does not begin."""
    problems = error.problems if isinstance(error, InputError) else (str(error),)
    write(Refused(int(error.code), tuple(problems)))
