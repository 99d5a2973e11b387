"""`sopslab cards`: hand-outs for the learners of a class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import any_ids_argument, json_option, lab_or_exit, problems_or_exit
from sopslab.errors import Exit, LabError
from sopslab.model.words import counted
from sopslab.run import lock

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass(frozen=True)
class _Made:
    """What is in the folder now, and what was changed."""

    folder: Path
    seats: tuple[str, ...]
    pages: int
    enrolled: int
    changed: tuple[str, ...]
    problems: tuple[str, ...]
    no_pdf: str


@click.command()
@any_ids_argument(shell_complete=completing.seats)
@click.option(
    "--two-up",
    is_flag=True,
    help="Two cards to a sheet of A4 for the whole class, with marks where to cut it.",
)
@json_option
def cards(ids: tuple[str, ...], two_up: bool, as_json: bool) -> None:
    """Write a card to hand out for each learner of the class, or for the IDs.

    It has all that a learner needs: address, login, password, and how to fetch the rest. Each is
    written as HTML and as PDF; all.html and all.pdf always hold the whole class, to print. No
    access is replaced, and a second run changes nothing. A seat that is not complete yet is named
    and gets no card; the exit code is 1. If PDFs cannot be made, the command says what to install.
    """
    settings = lab_or_exit(as_json=as_json)
    with problems_or_exit(as_json=as_json):
        made = _make(settings, ids, two_up)
    if as_json:
        echo_json(_as_dict(made))
    else:
        _say(made)
    sys.exit(Exit.FAILED if made.problems else Exit.OK)


def _make(settings: Settings, ids: Sequence[str], two_up: bool) -> _Made:
    # Imported here, because templates take longer to load than most verbs to run.
    from sopslab.cards.folder import drop, put
    from sopslab.cards.page import sheet
    from sopslab.cards.printing import printed
    from sopslab.cards.sources import ALL, enrolled, gather
    from sopslab.lab.observe.access import access_ends
    from sopslab.lab.observe.handouts import fetchable

    seats = enrolled(settings, ids)
    # The lab is locked, because a login could be replaced after it is read and before the card is
    # written.
    lock.hold(Path(settings.lab_dir) / "lock")
    ends = access_ends(settings, [seat.id for seat in seats])
    gathered = gather(settings, seats, ends, fetchable(settings.for_machine))
    wanted = set(ids) or {seat.id for seat in seats}
    chosen = [card for card in gathered.cards if card.seat in wanted]
    problems = [
        sentence
        for seat, sentences in gathered.problems.items()
        if seat in wanted
        for sentence in sentences
    ]
    if not chosen:
        raise LabError("\n".join(problems))
    pages = {card.seat: sheet(f"{card.seat}, lab {card.lab}", [card]) for card in chosen}
    title = f"The class of the lab {settings.lab}"
    pages[ALL] = sheet(title, gathered.cards, two_up=two_up)
    folder = Path(settings.class_dir) / "cards"
    files, no_pdf = printed(folder, pages)
    written = put(folder, files)
    removed = drop(folder, [ALL, *(seat.id for seat in seats)])
    return _Made(
        folder,
        tuple(card.seat for card in chosen),
        len(gathered.cards),
        len(seats),
        (*written, *removed),
        tuple(problems),
        no_pdf,
    )


def _as_dict(made: _Made) -> dict[str, object]:
    return {
        "ok": not made.problems,
        "changed": len(made.changed),
        "folder": str(made.folder),
        "all": {"html": str(made.folder / "all.html"), "pdf": _pdf(made, "all")},
        "cards": [
            {"id": seat, "html": str(made.folder / f"{seat}.html"), "pdf": _pdf(made, seat)}
            for seat in made.seats
        ],
        "no_pdf": made.no_pdf,
        "problems": list(made.problems),
    }


def _pdf(made: _Made, name: str) -> str | None:
    return None if made.no_pdf else str(made.folder / f"{name}.pdf")


def _say(made: _Made) -> None:
    first, *others = made.seats
    more = ", …" if others else ""
    cards = "1 card is" if len(made.seats) == 1 else f"{len(made.seats)} cards are"
    echo(f"{cards} in {made.folder} ({counted(len(made.changed), 'change')})")
    kinds = ("html",) if made.no_pdf else ("html", "pdf")
    each = ", ".join(f"{first}.{kind}" for kind in kinds)
    whole = ", ".join(f"all.{kind}" for kind in kinds)
    echo(f"  a card each      {each}{more}")
    echo(f"  the whole class  {whole}, with {made.pages} of {made.enrolled} learners")
    echo("These files hold passwords: print them where only you collect the paper, give")
    echo("each learner only their own, and remove the folder when the class is over.")
    if made.no_pdf:
        echo("A browser prints the pages as well.")
    for sentence in filter(None, (*made.problems, made.no_pdf)):
        echo(sentence, err=True)
