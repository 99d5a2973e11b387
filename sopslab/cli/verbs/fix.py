"""`sopslab fix`: undo what `sopslab break` injected."""

from __future__ import annotations

import json

import click

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import (
    any_ids_argument,
    deploy_or_exit,
    json_option,
    lab_or_exit,
    problems_or_exit,
    say_who_has_ended,
)
from sopslab.config.enrolled import named_environments
from sopslab.model.words import counted


@click.command(cls=RoomVerb)
@any_ids_argument()
@json_option
def fix(ids: tuple[str, ...], as_json: bool) -> None:
    """Undo what was injected for the learners IDs.

    A learner's later commits and repairs stay. The command ends when Flux has applied the
    repository.

    Exit code 4: the faults are undone, but Flux still cannot apply a repository.
    """
    settings = lab_or_exit({"learners": ids}, as_json=as_json)
    with problems_or_exit(as_json=as_json):
        environments = named_environments(settings, ids) if ids else []
    learners = [one.id for one in environments]
    result = deploy_or_exit("deploys/fix.py", settings, {"learners": json.dumps(learners)}, as_json)
    changes = counted(result.changed, "change")
    echo(f"\nnothing is injected any more ({changes}, {result.seconds:.1f} s)")
    say_who_has_ended(settings, learners)
