"""A verb at all seats of a room: it runs on each of their machines, and is shown here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from sopslab.cli.console import Console
from sopslab.cli.room_display import RoomDisplay
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import end, problems_or_exit
from sopslab.config.inputs import MACHINES, SEATS, roster_rows, seat_settings
from sopslab.config.places import Room
from sopslab.config.seats import chosen
from sopslab.errors import STOPPED, Exit, InputError, LabError
from sopslab.files.privatefile import write_private
from sopslab.model.events import SeatEnded
from sopslab.model.words import counted
from sopslab.room.answers import plan_in
from sopslab.room.machines import as_file, known_machines
from sopslab.run.runner import Result, run

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

MAKE = "deploys/seats.py"
RUN = "deploys/verb.py"
# After an interruption, the result says that the next run goes on. That makes no sense for these
# verbs, which change nothing.
_LOOKS = {"doctor", "status", "support", "verify"}


@dataclass(frozen=True)
class Seats:
    """The chosen seats of a room, and what this machine keeps of the room."""

    room: Room
    settings: Mapping[str, Settings]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of their learners, in the order of the roster."""
        return tuple(self.settings)


def seats_or_exit(wanted: Sequence[str], *, as_json: bool) -> Seats:
    """Return the chosen seats, or end with every problem of the room.

    + wanted: ids, groups and globs; without any, all seats
    """
    try:
        machines = known_machines()
        seats = seat_settings(machines)
        ids = chosen(roster_rows(), wanted)
        if not ids:
            raise InputError(["the roster has no learner: a room needs one"])
        room = seats[ids[0]].room
        if os.environ.get(MACHINES, "").startswith("@"):
            # Vagrant and Terraform have to be asked in the user's folder. The run works in another
            # one, so it gets a file with their answer.
            kept = Path(room.lab_dir, "machines.json")
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(kept, as_file(machines))
            os.environ[MACHINES] = str(kept.absolute())
    except LabError as error:
        end(error.code, str(error).splitlines(), as_json=as_json)
    except OSError as error:
        end(Exit.HOST, [f"the root cannot be written: {error.strerror}"], as_json=as_json)
    return Seats(room, {name: seats[name] for name in ids})


def at_seats(
    deploy: str, seats: Seats, words: Sequence[str], *, as_json: bool, silent: bool = False
) -> Result:
    """Run a deploy of a room at its seats, show what they do, and return how it went.

    + deploy: `MAKE` or `RUN`
    + words: the verb, and its arguments
    + silent: whether to show nothing meanwhile, as with `as_json`
    """
    console = Console()
    display = nullcontext() if as_json or silent else RoomDisplay(console, seats.ids)
    data = {"verb": json.dumps(list(words))}
    hosts = [f"@seat/{name}" for name in seats.ids]
    with problems_or_exit(as_json=as_json), display as shown:
        follow = shown.follow if shown is not None else lambda _event: None
        log_dir = Path(seats.room.lab_dir, "log")
        result = run(deploy, data, log_dir, follow, SEATS, hosts=hosts)
    if result.code in STOPPED and words[0] in _LOOKS:
        return replace(result, problems=["stopped"])
    return result


def ask(seats: Seats, words: Sequence[str]) -> None:
    """Ask once whether to run a verb at all the seats, and end the command if the answer is no."""
    verb = " ".join(word for word in words if word != "--yes")
    click.confirm(
        f"This runs `sopslab {verb}` at {counted(len(seats.ids), 'seat')}:"
        f" {', '.join(seats.ids)}. Go on?",
        abort=True,
        # Only the JSON goes to standard output.
        err=True,
    )


def tell_or_exit(seats: Seats, result: Result, as_json: bool) -> None:
    """Say how a run went at each seat, and end the command unless it succeeded at all of them."""
    missing = [name for name in seats.ids if name not in result.seats]
    code = result.code
    if as_json:
        echo_json(as_dict(seats, result))
        sys.exit(code)
    for name in seats.ids:
        if name in result.seats:
            for sentence in plan_in(answer_of(result.seats[name])):
                echo(f"{name}: {sentence}")
    if code is Exit.OK and not missing:
        return
    console = Console(stderr=True)
    if console.is_terminal or not result.seats or code in STOPPED:
        # The table cuts sentences at the end of a line, and does not tell of an interruption.
        for problem in result.problems:
            console.print(Text(problem, "red"), soft_wrap=True)
    failed = [name for name in seats.ids if name in missing or result.seats[name].code]
    done = len(seats.ids) - len(failed)
    echo(f"{done} of {len(seats.ids)} seats are done; not: {', '.join(failed)}", err=True)
    echo(f"The log is {result.log}", err=True)
    sys.exit(code or Exit.FAILED)


def answer_of(seat: SeatEnded) -> Mapping[str, Any]:
    """Return what a verb answered at a seat in JSON; empty if it answered nothing."""
    found: Mapping[str, Any] = json.loads(seat.answer) if seat.answer else {}
    return found


def as_dict(seats: Seats, result: Result) -> dict[str, Any]:
    """Return how a run went, as `--json` prints it."""
    return {
        "ok": result.code is Exit.OK,
        "changed": result.changed,
        "seconds": round(result.seconds, 2),
        "seats": {
            name: _seat_as_dict(result.seats[name]) for name in seats.ids if name in result.seats
        },
        "problems": result.problems,
        "log": str(result.log),
    }


def _seat_as_dict(seat: SeatEnded) -> dict[str, Any]:
    return {
        "ok": seat.code == Exit.OK,
        "code": seat.code,
        "changed": seat.changed,
        "seconds": seat.seconds,
        "problems": list(seat.problems),
        "answer": json.loads(seat.answer) if seat.answer else None,
    }
