"""What a run tells about itself while it goes on, for a display or a test to follow.

pyinfra's `--json` speaks once, at the end, and not at all when a run aborts. Events are one JSON
object a line, written to the file descriptor that `SOPSLAB_EVENTS_FD` names:

    {"event": "plan", "operations": ["Host | …", …]}
    {"event": "start", "operation": "Host | …"}
    {"event": "end", "operation": "Host | …", "changed": true, "failed": false, "seconds": 1.2,
     "notes": ["…"], "errors": ["…"]}
    {"event": "refused", "code": 2, "problems": ["…"]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from sopslab.errors import InputError, LabError

DESCRIPTOR = "SOPSLAB_EVENTS_FD"

_NAMED = 6
_notes: list[str] = []


def note(text: str) -> None:
    """Have the operation that runs now explain itself, such as what had drifted."""
    if text not in _notes:
        _notes.append(text)


def take_notes() -> list[str]:
    """Return what operations have noted since this was last asked, and forget it."""
    taken = list(_notes)
    _notes.clear()
    return taken


def named(names: Sequence[str]) -> str:
    """Return names for a note: a few are all there, and of more it is said how many more."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"


def write(event: dict[str, object]) -> None:
    """Write one event, if anyone listens."""
    descriptor = os.environ.get(DESCRIPTOR)
    if descriptor is not None:
        os.write(int(descriptor), (json.dumps(event) + "\n").encode())


def refuse(error: LabError) -> None:
    """Tell why the run does not begin."""
    problems = error.problems if isinstance(error, InputError) else (str(error),)
    write({"event": "refused", "code": int(error.code), "problems": list(problems)})
