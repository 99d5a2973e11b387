"""`sopslab status` in a room: what is up at each seat, and how far its learner is."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from sopslab.cli import room
from sopslab.cli.console import Console
from sopslab.cli.terminal import echo_json
from sopslab.errors import STOPPED, Exit
from sopslab.model.events import SeatEnded
from sopslab.room.answers import Exercise, exercise_in

_UNSEEN = "how far they are was not seen: `sopslab verify` says why"


def show_or_exit(wanted: Sequence[str], *, as_json: bool) -> None:
    """Show a line for each seat, and end the command: with 0 if all are up, with 4 if some are not.

    Learners' progress does not change the exit code.
    """
    seats = room.seats_or_exit(wanted, as_json=as_json)
    looked = room.at_seats(room.RUN, seats, ["status"], as_json=as_json, silent=True)
    up = [name for name in seats.ids if name in looked.seats and not looked.seats[name].code]
    found: dict[str, Exercise] = {}
    last, code = looked, looked.code
    # After an interruption there is no second look.
    if up and code not in STOPPED:
        some = room.Seats(seats.room, {name: seats.settings[name] for name in up})
        last = room.at_seats(room.RUN, some, ["verify"], as_json=as_json, silent=True)
        answers = {name: room.answer_of(seat) for name, seat in last.seats.items()}
        found = {name: exercise_in(answer) for name, answer in answers.items() if answer}
        code = last.code if last.code in STOPPED else code
    if as_json:
        told = room.as_dict(seats, looked)
        for name, one in found.items():
            told["seats"][name]["exercise"] = {"done": one.done, "of": one.of, "next": one.next}
        echo_json(told)
    else:
        console = Console()
        console.make_room()
        console.print(_table(seats.ids, looked.seats, found))
        if not looked.seats or last.code in STOPPED:
            for problem in last.problems:
                console.print(Text(problem, "red"), soft_wrap=True)
        console.print(f"{len(up)} of {len(seats.ids)} seats are up.", soft_wrap=True)
    sys.exit(code)


def _table(
    ids: Sequence[str], seats: Mapping[str, SeatEnded], found: Mapping[str, Exercise]
) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim", expand=True)
    table.add_column("")
    table.add_column("seat", no_wrap=True)
    table.add_column("done", no_wrap=True, justify="right")
    table.add_column("next", ratio=1)
    for name in ids:
        seat = seats.get(name)
        if seat is None or seat.code != Exit.OK:
            problems = seat.problems if seat else ("nothing was heard of it",)
            table.add_row(Text("✗", "red"), name, "", Text(" ".join(problems), "red"))
            continue
        one = found.get(name)
        told = ("", Text(_UNSEEN)) if one is None else (f"{one.done} of {one.of}", Text(one.next))
        table.add_row(Text("✓", "green"), name, *told)
    return table
