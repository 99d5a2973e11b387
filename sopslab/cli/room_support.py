"""`sopslab support` in a room: a report on the lab of each seat, brought to this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sopslab.cli import room
from sopslab.cli.terminal import echo, echo_json
from sopslab.config.seats import SEAT_ROOT
from sopslab.errors import STOPPED, Exit, LabError
from sopslab.lab.support.archive import write
from sopslab.room.reaching import connection_to
from sopslab.room.seat import bring, lacking
from sopslab.run.runner import Result

_THERE = f"{SEAT_ROOT[2:]}/support.tar.gz"


def bring_or_exit(wanted: Sequence[str], *, as_json: bool) -> None:
    """Make a report at each seat, and bring the reports here as `support-ID.tar.gz`. End the
    command if a report is missing."""
    seats = room.seats_or_exit(wanted, as_json=as_json)
    words = ["support", f"--output={_THERE}"]
    result = room.at_seats(room.RUN, seats, words, as_json=as_json)
    files, problems = {}, {}
    made = [name for name in seats.ids if name in result.seats and not result.seats[name].code]
    try:
        # After an interruption no reports are brought.
        for name in () if result.code in STOPPED else made:
            try:
                files[name] = _brought(seats, name)
            except LabError as error:
                problems[name] = str(error)
            except OSError as error:
                problems[name] = str(lacking(error))
    except KeyboardInterrupt:
        done = {name: result.seats[name] for name in (*files, *problems)}
        result = replace(result, code=Exit.INTERRUPTED, problems=["stopped"], seats=done)
    result = _with(result, problems)
    if as_json:
        echo_json({**room.as_dict(seats, result), "files": files})
        sys.exit(result.code)
    for path in files.values():
        echo(path)
    room.tell_or_exit(seats, result, as_json=False)


def _brought(seats: room.Seats, name: str) -> str:
    connection = connection_to(seats.settings[name])
    try:
        content = bring(connection, _THERE)
    finally:
        connection.close()
    path = Path(f"support-{name}.tar.gz")
    write(path, content)
    return str(path)


def _with(result: Result, problems: dict[str, str]) -> Result:
    """Return the result, with the reasons why reports could not be brought."""
    if not problems:
        return result
    code = result.code if result.code in STOPPED else Exit.PARTIAL
    failed = {
        name: replace(result.seats[name], code=int(Exit.FAILED), problems=(problem,))
        for name, problem in problems.items()
    }
    told = [f"{name}: {problem}" for name, problem in problems.items()]
    return replace(
        result, code=code, seats={**result.seats, **failed},
        problems=[*result.problems, *told],
    )  # fmt: skip
