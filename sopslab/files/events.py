"""Where a run tells its events, and what the operation that runs now says about itself.

They are written to the file descriptor that `SOPSLAB_EVENTS_FD` names.
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
    """Have the operation that runs now explain itself, such as what had drifted."""
    if text not in _notes:
        _notes.append(text)


def take_notes() -> tuple[str, ...]:
    """Return what operations have noted since this was last asked, and forget it."""
    taken = tuple(_notes)
    _notes.clear()
    return taken


def named(names: Sequence[str]) -> str:
    """Return names for a note: all of a few; of many, the first ones and how many more there
    are."""
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
    """Tell why the run does not begin."""
    problems = error.problems if isinstance(error, InputError) else (str(error),)
    write(Refused(int(error.code), tuple(problems)))
