"""What a run tells about itself while it goes on, for a display or a test to follow.

pyinfra's `--json` speaks once, at the end, and not at all when a run aborts. The journal is one
JSON object a line, written to the file descriptor that `SOPSLAB_JOURNAL_FD` names:

    {"event": "plan", "operations": ["Host | …", …]}
    {"event": "start", "operation": "Host | …"}
    {"event": "end", "operation": "Host | …", "changed": true, "failed": false, "seconds": 1.2,
     "notes": ["…"], "errors": ["…"]}
    {"event": "refused", "code": 2, "problems": ["…"]}
"""

from __future__ import annotations

import atexit
import json
import os
import time
from collections.abc import Sequence

from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback
from typing_extensions import override

from sopslab.errors import InputError, LabError

DESCRIPTOR = "SOPSLAB_JOURNAL_FD"

_NAMED = 6
_notes: list[str] = []


def note(text: str) -> None:
    """Have the operation that runs now explain itself, such as what had drifted."""
    if text not in _notes:
        _notes.append(text)


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


class Journal(BaseStateCallback):
    """The callbacks of pyinfra, turned into events."""

    _started: float | None = None
    _planned = False

    @staticmethod
    @override
    def operation_start(state: State, op_hash: str) -> None:
        if not Journal._planned:
            Journal._planned = True
            keys = state.get_op_order()  # type: ignore[no-untyped-call]
            order = [_name(state, key) for key in keys]
            write({"event": "plan", "operations": order})
        _notes.clear()
        Journal._started = time.monotonic()
        write({"event": "start", "operation": _name(state, op_hash)})

    @staticmethod
    @override
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        # The run aborts when no host is left: `operation_end` does not come then, and what the
        # operation said is known only after this callback.
        atexit.register(Journal._end, state, op_hash)

    @staticmethod
    @override
    def operation_end(state: State, op_hash: str) -> None:
        Journal._end(state, op_hash)

    @staticmethod
    def _end(state: State, op_hash: str) -> None:
        if Journal._started is None:
            return
        seconds = time.monotonic() - Journal._started
        Journal._started = None
        metas = [
            meta
            for host in state.inventory.iter_activated_hosts()
            if op_hash in state.ops[host]
            and (meta := state.ops[host][op_hash].operation_meta).is_complete()
        ]
        write(
            {
                "event": "end",
                "operation": _name(state, op_hash),
                "changed": any(meta.did_change() for meta in metas),
                "failed": any(meta.did_error() for meta in metas),
                "seconds": round(seconds, 3),
                "notes": list(_notes),
                "errors": [line for meta in metas for line in meta.stderr_lines][-20:],
            }
        )


def _name(state: State, op_hash: str) -> str:
    return min(state.op_meta[op_hash].names)
