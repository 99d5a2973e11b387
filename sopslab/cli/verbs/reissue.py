"""`sopslab reissue`: replace the access of learners."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    json_option,
    lab_or_exit,
    problems_or_exit,
    refuse_ended,
)
from sopslab.config.enrolled import class_in_words, read_enrolled
from sopslab.errors import Exit, LabError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@click.command()
@click.argument(
    "ids",
    nargs=-1,
    required=True,
    metavar="ID...",
    help="The learners.",
    shell_complete=completing.seats,
)
@json_option
def reissue(ids: tuple[str, ...], as_json: bool) -> None:
    """Replace the access of the learners IDs: password, certificate and kubeconfig.

    The old ones are refused from then on, which this command proves before it ends. Key, repository
    and environment stay as they are, and no other access changes.
    """
    learners = tuple(dict.fromkeys(ids))
    settings = lab_or_exit({"learners": learners}, as_json=as_json)
    with problems_or_exit(as_json=as_json):
        _refuse_unknown(settings)
    data = {"learners": json.dumps(learners)}
    deploy_or_exit("deploys/reissue.py", settings, data, as_json)
    for learner in learners:
        echo(f"{learner} has new access: {settings.seat_dir(learner)}")
    echo(f"`sopslab cards {' '.join(learners)}` writes what to hand out")


def _refuse_unknown(settings: Settings) -> None:
    enrolled = read_enrolled(settings)
    known = [seat.id for seat in enrolled]
    unknown = [seat for seat in settings.learners if seat not in known]
    if unknown:
        has = class_in_words(known)
        raise LabError(f"there is no seat {', '.join(unknown)}: {has}", Exit.INPUT)
    refuse_ended(enrolled, settings.learners)
