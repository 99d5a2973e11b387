"""`sopslab cards`: hand-outs for the learners of a class."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import any_ids_argument, end, json_option, lab_or_exit
from sopslab.errors import Exit, LabError
from sopslab.run import lock

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@dataclass(frozen=True)
class _Made:
    """What is in the folder now, and what had to change for it."""

    folder: Path
    seats: tuple[str, ...]
    pages: int
    enrolled: int
    changed: tuple[str, ...]
    problems: tuple[str, ...]


@click.command()
@any_ids_argument(shell_complete=completing.seats)
@json_option
def cards(ids: tuple[str, ...], as_json: bool) -> None:
    """Write a page to hand out for each learner of the class, or for the IDs.

    Each page is written as HTML and as PDF, with the address, login, password and first steps;
    all.pdf always holds the whole class, to print. No access is replaced, and a second run changes
    nothing. A seat that is not complete yet is named and gets no page; the exit code is 1.
    """
    settings = lab_or_exit(as_json=as_json)
    try:
        made = _make(settings, ids)
    except LabError as error:
        end(error.code, str(error).splitlines(), as_json=as_json)
    if as_json:
        echo_json(json.dumps(_as_dict(settings, made), indent=2))
    else:
        _say(settings, made)
    sys.exit(Exit.FAILED if made.problems else Exit.OK)


def _make(settings: Settings, ids: Sequence[str]) -> _Made:
    # Imported here: fonts and PDF take longer to load than most other verbs take to run.
    from sopslab.cards.folder import drop, put
    from sopslab.cards.page import page
    from sopslab.cards.sheet import sheet
    from sopslab.cards.sources import ALL, enrolled, gather

    seats = enrolled(settings, ids)
    # Or a login could be issued anew between reading and writing it.
    lock.hold(Path(settings.lab_dir) / "lock")
    gathered = gather(settings, seats)
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
    files = {}
    for card in chosen:
        files[f"{card.seat}.html"] = page(card).encode()
        files[f"{card.seat}.pdf"] = sheet(f"{card.seat}, lab {card.lab}", [card])
    files[f"{ALL}.pdf"] = sheet(f"The class of the lab {settings.lab}", gathered.cards)
    folder = Path(settings.class_dir) / "cards"
    written = put(folder, files)
    removed = drop(folder, [ALL, *(seat.id for seat in seats)])
    return _Made(
        folder,
        tuple(card.seat for card in chosen),
        len(gathered.cards),
        len(seats),
        (*written, *removed),
        tuple(problems),
    )


def _as_dict(settings: Settings, made: _Made) -> dict[str, object]:
    return {
        "ok": not made.problems,
        "changed": len(made.changed),
        "folder": str(made.folder),
        "all": str(made.folder / "all.pdf"),
        "cards": [
            {
                "id": seat,
                "html": str(made.folder / f"{seat}.html"),
                "pdf": str(made.folder / f"{seat}.pdf"),
                "kubeconfig": f"{settings.seat_dir(seat)}/kubeconfig",
            }
            for seat in made.seats
        ],
        "problems": list(made.problems),
    }


def _say(settings: Settings, made: _Made) -> None:
    ca = Path(settings.tls_dir) / "ca.crt"
    first, *others = made.seats
    more = ", …" if others else ""
    echo(f"{len(made.seats)} cards are in {made.folder} ({len(made.changed)} changes)")
    echo(f"  a page each      {first}.html, {first}.pdf{more}")
    echo(f"  the whole class  all.pdf, with {made.pages} of {made.enrolled} learners")
    echo(f"  hand out beside  {settings.seat_dir(first)}/kubeconfig{more}")
    if ca.exists():
        echo(f"                   {ca}, the same for everybody")
    echo("These files hold passwords: print them where only you collect the paper, give")
    echo("each learner their own only, and remove the folder when the class is over.")
    for problem in made.problems:
        echo(problem, err=True)
