"""`sopslab status`: what is up, and each learner's progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import click
from typing_extensions import override

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo_csv, echo_json
from sopslab.cli.verbs._shared import json_option, problems_or_exit, settings_or_exit
from sopslab.errors import Exit

if TYPE_CHECKING:
    from sopslab.lab.board import Found


class _Status(RoomVerb):
    """The verb in a room: what is up at each seat, and how far its learner is."""

    @override
    def at_seats(
        self, params: Mapping[str, Any], words: Sequence[str], wanted: Sequence[str]
    ) -> None:
        from sopslab.cli.room_status import show_or_exit

        show_or_exit(wanted, as_json=params["as_json"])


@click.command(cls=_Status)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print one line per learner of a class.")
@click.option("--watch", is_flag=True, help="Look again every few seconds, until Ctrl-C.")
def status(as_json: bool, as_csv: bool, watch: bool) -> None:
    """Show which parts of the lab are up and, for a class, each learner's progress.

    A class has one line per learner: the steps that are done (✓), not done (✗) and not known (–),
    and what comes next. They are read on the Git server and in the cluster, so what a learner has
    not pushed does not show. Who asks for help (`git push origin HEAD:help`) is shown with the
    time since then.

    Exits 0 if the lab is up; 1 if a part of it is not, or a seat lacks what the lab owes it:
    access, key or source. A learner's progress makes no difference.
    """
    # Imported here, because the help does not need it. rich is imported where people are told.
    from sopslab.cli import answers
    from sopslab.lab.board import AT_A_TIME, looks
    from sopslab.lab.observe.observer import Observer
    from sopslab.lab.parts import look_at_parts

    if as_json + as_csv + watch > 1:
        raise click.UsageError("--json, --csv and --watch exclude each other")
    if watch and not _is_terminal():
        raise click.UsageError("--watch needs a terminal")
    settings = settings_or_exit(as_json=as_json)
    with problems_or_exit(as_json=as_json), ThreadPoolExecutor(AT_A_TIME) as executor:
        parts = partial(look_at_parts, settings, executor)
        look = looks(settings, Observer(settings, executor), parts)
        if watch:
            _follow(look)
        found = look()
    if as_json:
        answer: dict[str, object] = {"lab": settings.lab, "up": found.up}
        answer["parts"] = [asdict(part) for part in found.parts]
        if found.rows:
            answer["class"] = answers.of_class(found.rows)
        echo_json(answer)
    elif as_csv:
        echo_csv(answers.lines_of_class(found.rows))
    else:
        _show(found)
    sys.exit(Exit.OK if found.up else Exit.FAILED)


def _is_terminal() -> bool:
    from sopslab.cli.console import Console

    return Console().is_terminal


def _follow(look: Callable[[], Found]) -> NoReturn:
    from sopslab.cli import status_display
    from sopslab.cli.console import Console

    status_display.follow(look, Console())


def _show(found: Found) -> None:
    from sopslab.cli import status_display
    from sopslab.cli.console import Console

    status_display.show(found, Console())
