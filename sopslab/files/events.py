"""Write the events of a run, and collect the notes of the operation that runs now.

Events are written to the file descriptor that `SOPSLAB_EVENTS_FD` names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from sopslab.errors import InputError, LabError
from sopslab.model.events import Event, Refused, to_line

DESCRIPTOR = "SOPSLAB_EVENTS_FD"

_NAMED = 6
_notes: list[str] = []


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
