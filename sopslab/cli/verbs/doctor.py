"""`sopslab doctor`: what is wrong, and what helps."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo_json
from sopslab.cli.verbs._shared import (
    LOOKS_AT_A_TIME,
    end,
    ended_among,
    json_option,
    own_learner_argument,
)
from sopslab.config.enrolled import named_environments, read_enrolled
from sopslab.config.inputs import local_settings
from sopslab.errors import Exit, LabError
from sopslab.lab.tools.programs import keep_to_the_lab

if TYPE_CHECKING:
    from sopslab.checks.diagnosis import Diagnosis


@click.command(cls=RoomVerb)
@own_learner_argument
@json_option
def doctor(learner: str | None, as_json: bool) -> None:
    """Name what keeps the secrets of the learner ID from arriving.

    Looks at each link itself, in the cluster, on the Git server and in the lab's files: what Flux
    says of one cause may hide another. An unfinished exercise is not a fault.

    Exit code: 0 nothing is wrong, 1 something is, 2 it could not be decided.
    """
    # Imported here, because the help does not need it.
    from sopslab.checks.diagnosis import diagnose, of_ended
    from sopslab.cli import answers
    from sopslab.lab.observe.observer import Observer, viewpoint_of

    asked = [] if learner is None else [learner]
    try:
        settings = local_settings({"learners": asked})
        (environment,) = named_environments(settings, settings.learners)
        over = ended_among(read_enrolled(settings), [environment.id])
    except LabError as error:
        end(Exit.INPUT, str(error).splitlines(), as_json=as_json)
    keep_to_the_lab(settings)
    with ThreadPoolExecutor(LOOKS_AT_A_TIME) as executor:
        viewpoint = viewpoint_of(settings, environment, Path.cwd())
        diagnosis = diagnose(Observer(settings, executor).outside(viewpoint))
    for seat in over:
        diagnosis = of_ended(diagnosis, seat.id, str(seat.until))
    if as_json:
        echo_json(answers.of_diagnosis(diagnosis, environment.id))
    else:
        _show(diagnosis)
    sys.exit(diagnosis.exit_code)


def _show(diagnosis: Diagnosis) -> None:
    from sopslab.cli import doctor_report
    from sopslab.cli.console import Console

    console = Console()
    for text in doctor_report.as_text(diagnosis):
        console.print(text, soft_wrap=True)
