"""`sopslab drill`: the chapter's incident, staged to be worked through, and scored."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import click

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    json_option,
    lab_or_exit,
    own_id_argument,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.config.enrolled import named_environments
from sopslab.config.environment import Environment
from sopslab.errors import Exit, InputError
from sopslab.lab.tools.programs import keep_to_the_lab
from sopslab.model.results import Result, Status, exit_code

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@click.group()
def drill() -> None:
    """Practise the incident of the chapter: what to do once a value has been seen."""


@drill.command(cls=RoomVerb, named=True)
@own_id_argument
@json_option
def leak(ids: tuple[str, ...], as_json: bool) -> None:
    """Stage a leak in the environment of the learner ID.

    A colleague has committed an API key in plain text, reverted that, and encrypted the same key.
    Main is moved as if that had been pushed before there was a guard, and the key is in the
    cluster. The learner's briefing is in a folder that this command names. The value is random, and
    this command does not show it. `sopslab drill end` and `sopslab reset` remove all of it.
    """
    from sopslab.incidents.leak import leak_dir

    settings = lab_or_exit({"learners": ids}, as_json=as_json)
    environment = _one(settings, ids, as_json)
    learner = environment.id
    deploy_or_exit("deploys/drill.py", settings, {"learners": json.dumps([learner])}, as_json)
    echo(
        f"\nA leak is staged in {environment.repository}. What happened, and what there is to do:"
        f"\n  less {shlex.quote(f'{leak_dir(settings, learner)}/README.md')}"
        f"\n  sopslab drill status{f' {learner}' if ids else ''}"
    )


@drill.command("end", cls=RoomVerb, named=True)
@own_id_argument
@json_option
def end_(ids: tuple[str, ...], as_json: bool) -> None:
    """End the drill of the learner ID: the environment as it was before.

    Main goes back to where it was, and the incidents of the drill are taken off the record. What
    was committed on top of the leak is kept in a bundle, outside of every history.
    """
    settings = lab_or_exit({"learners": ids}, as_json=as_json)
    learner = _one(settings, ids, as_json).id
    deploy_or_exit("deploys/drill_end.py", settings, {"learners": json.dumps([learner])}, as_json)
    echo(f"\n{learner} is where the drill began")


@drill.command(cls=RoomVerb)
@own_id_argument
@json_option
def status(ids: tuple[str, ...], as_json: bool) -> None:
    """Show the learner ID's progress with the leak, step by step, and what stays exposed.

    The steps are read from the incidents on record, from main and from the cluster. Values are
    compared by hash. Exit code: 0 all is done, 1 something is not, 2 something is not known.
    """
    # Imported here, because the help does not need it.
    from rich.text import Text

    from sopslab.cli import verification_report as report
    from sopslab.cli.console import Console
    from sopslab.incidents.leak import read_staged
    from sopslab.lab.drill import score_of

    settings = settings_or_exit({"learners": ids}, as_json=as_json)
    environment = _one(settings, ids, as_json)
    learner = environment.id
    keep_to_the_lab(settings)
    with problems_or_exit(as_json=as_json):
        staged = read_staged(settings, learner)
        if staged is None:
            raise InputError([f"no leak is staged for {learner}: `sopslab drill leak` stages one"])
        score = score_of(settings, environment, staged)
    results, remains = score.steps, score.exposed
    if as_json:
        echo_json(_as_plain(learner, results, remains))
    else:
        console = Console()
        for result in results:
            console.print(report.as_text(result), soft_wrap=True)
        done = sum(result.status is Status.OK for result in results)
        console.print(f"{done} of {len(results)} steps are done. Exposed for ever:")
        for sentence in remains:
            console.print(Text(f"  {sentence}"), soft_wrap=True)
    sys.exit(exit_code(results))


def _one(settings: Settings, ids: tuple[str, ...], as_json: bool) -> Environment:
    with problems_or_exit(as_json=as_json):
        if len(ids) > 1:
            raise InputError(["a drill is for one learner: name one ID"])
        (environment,) = named_environments(settings, ids)
    return environment


def _as_plain(learner: str, results: list[Result], remains: list[str]) -> dict[str, object]:
    return {
        "ok": exit_code(results) == Exit.OK,
        "drill": "leak",
        "learner": learner,
        "steps": [
            {
                "id": result.id,
                "status": result.status.value,
                "found": result.found,
                "next": result.next_step,
            }
            for result in results
        ],
        "remains": remains,
    }
