"""`sopslab status`: what is up, and each learner's progress."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from sopslab.cli import board as show
from sopslab.cli.console import Console
from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import settings_or_exit
from sopslab.errors import Exit, LabError

if TYPE_CHECKING:
    from sopslab.lab.board import Found
    from sopslab.lab.parts import Part

_EVERY = 3.0  # seconds between two looks
_WIDTH = 160  # columns, where no terminal says how many


class _Status(RoomVerb):
    """The verb as a room has it: what is up at each seat, and how far its learner is."""

    @override
    def at_seats(
        self, params: Mapping[str, Any], words: Sequence[str], wanted: Sequence[str]
    ) -> None:
        from sopslab.cli.room_status import show_or_exit

        show_or_exit(wanted, as_json=params["as_json"])


@click.command(cls=_Status)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per learner of a class.")
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
def status(as_json: bool, as_csv: bool, watch: bool) -> None:
    """Show which parts of the lab are up and, for a class, each learner's progress.

    A class has one line per learner: the steps that are done (✓), not done (✗) and not known (–),
    and what comes next. They are read on the Git server and in the cluster, so what a learner has
    not pushed does not show. Who asks for help (`git push origin HEAD:help`) is shown with the
    minutes since then.

    Exits 0 if the lab is up; 1 if a part of it is not, or a seat lacks what the lab owes it:
    access, key or source. A learner's progress makes no difference.
    """
    console = Console()
    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv and --watch exclude each other")
    if watch and not console.is_terminal:
        raise click.UsageError("--watch needs a terminal")
    settings = settings_or_exit()
    # All that looks and judges is imported here: help does without it.
    from sopslab.lab.board import AT_A_TIME, looks
    from sopslab.lab.observe.observer import Observer
    from sopslab.lab.parts import look_at_parts

    try:
        with ThreadPoolExecutor(AT_A_TIME) as executor:
            parts = partial(look_at_parts, settings, executor)
            look = looks(settings, Observer(settings, executor), parts)
            if watch:
                _watch(look, console)
            found = look()
    except LabError as error:
        echo(str(error), err=True)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    if as_json:
        answer: dict[str, object] = {"lab": settings.lab, "up": found.up}
        answer["parts"] = [asdict(part) for part in found.parts]
        if found.rows:
            answer["class"] = show.as_dicts(found.rows)
        echo_json(json.dumps(answer, indent=2))
    elif as_csv:
        echo(show.as_csv(found.rows), nl=False)
    else:
        _print(found, console)
    sys.exit(Exit.OK if found.up else Exit.FAILED)


def _watch(look: Callable[[], Found], console: Console) -> NoReturn:
    with Live(Text("looking …", "dim"), console=console, screen=True, auto_refresh=False) as live:
        while True:
            found = look()
            lines: list[RenderableType] = [_one_line(part) for part in found.parts]
            if found.rows:
                room = console.height - len(lines) - 3
                rows = show.fitting(found.rows, console.width, room, time.time())
                lines += [Text(), rows, Text(), show.summary(found.rows)]
            live.update(Group(*lines), refresh=True)
            time.sleep(_EVERY)


def _print(found: Found, console: Console) -> None:
    for part in found.parts:
        console.print(_line(part), soft_wrap=True)
    if found.rows:
        if not console.is_terminal:
            console.width = _WIDTH
        console.print()
        now = time.time()
        console.print(show.table(found.rows, console.width, now))
        console.print()
        for text in show.details(found.rows, now):
            console.print(text, soft_wrap=True)
        console.print(show.summary(found.rows))


def _line(part: Part) -> Text:
    mark = Text("✓ ", "green") if part.up else Text("✗ ", "red")
    return mark + Text(f"{part.name:<14}{part.where}: {part.state}")


def _one_line(part: Part) -> Text:
    line = _line(part)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
