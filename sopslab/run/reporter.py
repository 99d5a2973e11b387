"""Write the events of a run. Only the process of a run imports this module, because importing
pyinfra is slow."""

from __future__ import annotations

import atexit
import time

from pyinfra.api import Host, State
from pyinfra.api.state import BaseStateCallback
from typing_extensions import override

from sopslab.checks.causes import OURS, said, told
from sopslab.files.events import step_of, take_notes, write
from sopslab.model.events import Ended, Operation, Planned, Started
from sopslab.model.steps import Step


class Reporter(BaseStateCallback):
    """The callbacks of pyinfra, turned into events."""

    _started: float | None = None
    _planned = False

    @staticmethod
    @override
    def operation_start(state: State, op_hash: str) -> None:
        if not Reporter._planned:
            Reporter._planned = True
            keys = state.get_op_order()
            write(Planned(tuple(_operation(state, key) for key in keys)))
        take_notes()
        Reporter._started = time.monotonic()
        write(Started(_operation(state, op_hash)))

    @staticmethod
    @override
    def operation_host_error(
        state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        # If no host is left, the run aborts, and pyinfra does not call `operation_end`. The output
        # of the operation is known only after this callback, so the event is written at exit.
        atexit.register(Reporter._end, state, op_hash)

    @staticmethod
    @override
    def operation_end(state: State, op_hash: str) -> None:
        Reporter._end(state, op_hash)

    @staticmethod
    def _end(state: State, op_hash: str) -> None:
        if Reporter._started is None:
            return
        operation = _operation(state, op_hash)
        seconds = time.monotonic() - Reporter._started
        Reporter._started = None
        metas = [
            meta
            for host in state.inventory.iter_activated_hosts()
            if op_hash in state.ops[host]
            and (meta := state.ops[host][op_hash].operation_meta).is_complete()
        ]
        write(
            Ended(
                operation,
                changed=any(meta.did_change() for meta in metas),
                failed=any(meta.did_error() for meta in metas),
                seconds=round(seconds, 3),
                notes=take_notes(),
                errors=_told(operation, [line for meta in metas for line in meta.stderr_lines]),
            )
        )


def _operation(state: State, op_hash: str) -> Operation:
    meta = state.op_meta[op_hash]
    step = step_of(meta)
    # pyinfra puts the name of the deploy in front of the operation's own.
    return Operation(step, min(meta.names).removeprefix(f"{step} | "))


def _told(operation: Operation, lines: list[str]) -> tuple[str, ...]:
    # The output of a compiler or apt is worth reading, and has no secrets.
    if operation.step is Step.ARTIFACTS:
        return tuple([said(line.removeprefix(f"{OURS}: ")) for line in lines][-20:])
    return tuple(told(lines)[-20:])
