"""`sopslab helped`: take back the mark of learners who asked for help."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import end, json_option, lab_or_exit, problems_or_exit
from sopslab.config.enrolled import read_enrolled
from sopslab.errors import Exit, InputError

if TYPE_CHECKING:
    from sopslab.config.settings import Seat, Settings


@click.command()
@click.argument(
    "ids", nargs=-1, metavar="[ID...]", help="The learners.", shell_complete=completing.seats
)
@click.option("--all", "everybody", is_flag=True, help="Everybody in the class.")
@json_option
def helped(ids: tuple[str, ...], everybody: bool, as_json: bool) -> None:
    """Say that the learners IDs were helped: they no longer ask for help.

    A learner asks with `git push origin HEAD:help`, and takes that back with the same push. Nothing
    else of a seat changes.
    """
    # Imported here, because rich takes long to import, and help and completion do not need it.
    from sopslab.cli.board import ago
    from sopslab.config.environment import at_seat
    from sopslab.lab.act import asking

    settings = lab_or_exit({"learners": ids}, as_json=as_json)
    try:
        with problems_or_exit(as_json=as_json):
            seats = _seats(settings, everybody)
            since = asking.helped(settings.for_machine, [at_seat(seat) for seat in seats])
    except OSError as error:
        end(Exit.FAILED, [f"{error.filename} cannot be removed: {error.strerror}"], as_json=as_json)
    if as_json:
        echo_json({"ok": True, "changed": len(since), "helped": since})
        return
    now = time.time()
    for seat in seats:
        if seat.id in since:
            echo(f"{seat.id} no longer asks for help, after {ago(since[seat.id], now)}")
        elif not everybody:
            echo(f"{seat.id} does not ask for help")
    if everybody and not since:
        echo("nobody asks for help")


def _seats(settings: Settings, everybody: bool) -> list[Seat]:
    """Return the seats that are meant, each once.

    Raises InputError with every problem in what was asked for.
    """
    seats = {seat.id: seat for seat in read_enrolled(settings)}
    asked = list(dict.fromkeys(settings.learners))
    if not seats:
        raise InputError(["the lab has no class, so nobody asks for help"])
    if everybody == bool(asked):
        both = "--all goes without IDs"
        raise InputError([both if asked else f"name the learners, or --all: {', '.join(seats)}"])
    problems = [
        f"there is no seat {one}: the class has {', '.join(seats)}"
        for one in asked
        if one not in seats
    ]
    if problems:
        raise InputError(problems)
    return [seats[one] for one in asked or seats]
