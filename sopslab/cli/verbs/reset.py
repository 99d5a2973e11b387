"""`sopslab reset`: put environments back to day one, or to a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    json_option,
    lab_or_exit,
    own_ids_argument,
    planned_or_exit,
    problems_or_exit,
    say_who_has_ended,
    show_plan,
)
from sopslab.config.enrolled import named_environments, read_enrolled, strangers
from sopslab.errors import InputError
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

CHECKPOINTS = {
    "start": "as the lab began",
    "encrypted": "with the Secret of the chapter encrypted",
    "wired": "with that Secret listed in the kustomization as well",
    "done": "the same, and the Secret is in the cluster",
}


@click.command(cls=RoomVerb, named=True)
@own_ids_argument
@click.option("--all", "everybody", is_flag=True, help="Everybody in the class.")
@click.option(
    "--to",
    "checkpoint",
    type=click.Choice(list(CHECKPOINTS)),
    default="start",
    show_default=True,
    help="The checkpoint.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before --all, nor in a room.")
@json_option
def reset(
    ids: tuple[str, ...],
    everybody: bool,
    checkpoint: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Put the environments of the learners IDs back, whatever their state.

    Commits that the checkpoint does not hold are kept on a branch saved/<time> of the learner's
    repository, or in a bundle if they are on top of a drill. Objects in the namespace that Flux did
    not apply are deleted. Keys and passwords stay, and no other environment is touched.

    Exit code 4: some could not be put back, and are named; all others are.
    """
    settings = lab_or_exit({"learners": ids, "checkpoint": checkpoint}, as_json=as_json)
    with problems_or_exit(as_json=as_json):
        learners = _learners(settings, everybody)
    data = {"learners": json.dumps(learners), "checkpoint": checkpoint}
    if dry_run:
        from sopslab.lab.reset import plan_reset

        environments = named_environments(settings, learners)
        plan = planned_or_exit(lambda: plan_reset(settings, environments, checkpoint), as_json)
        if as_json:
            echo_json({"ok": True, "changed": 0, "plan": plan})
            return
        show_plan(plan, "nothing to do")
        say_who_has_ended(settings, learners)
        return
    if everybody and not (yes or as_json):
        click.confirm(
            f"This puts {_counted(learners)} back to the checkpoint {checkpoint}. Go on?",
            abort=True,
        )
    result = deploy_or_exit("deploys/reset.py", settings, data, as_json)
    say_who_has_ended(settings, learners)
    echo(
        f"\n{_counted(learners)} at the checkpoint {checkpoint}, {CHECKPOINTS[checkpoint]}"
        f" ({counted(result.changed, 'change')}, {result.seconds:.1f} s)"
    )


def _learners(settings: Settings, everybody: bool) -> list[str]:
    """Return the ids of the learners, each once.

    Raises InputError with every problem in the arguments.
    """
    seats = [seat.id for seat in read_enrolled(settings)]
    asked = list(dict.fromkeys(settings.learners))
    if everybody:
        if asked:
            raise InputError(["--all goes without IDs"])
        return seats or [settings.learner.id]
    if not asked:
        if seats:
            raise InputError([f"name the learners to reset, or --all: {', '.join(seats)}"])
        return [settings.learner.id]
    problems = strangers(asked, [*seats, settings.learner.id])
    if problems:
        raise InputError(problems)
    return asked


def _counted(learners: Sequence[str]) -> str:
    return learners[0] if len(learners) == 1 else f"{len(learners)} environments"
