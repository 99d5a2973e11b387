"""`sopslab up`: make the lab."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sopslab.cli.junit import junit_option
from sopslab.cli.terminal import Console
from sopslab.cli.verbs._shared import deploy_or_exit, end, json_option, settings_or_exit
from sopslab.config.enrolled import read_enrolled
from sopslab.config.enrolment import enrol, plan
from sopslab.config.inputs import (
    CI,
    CLASSROOM,
    INVENTORY,
    LOCAL,
    ROSTER,
    chosen_inventory,
    known_inventory,
)
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.layout import CANARY_PATH
from sopslab.run.runner import Result


@click.command()
@click.argument(
    "inventory",
    required=False,
    metavar="[INVENTORY]",
    help=f"{LOCAL}: one learner's lab; {CLASSROOM}: the same with an isolated environment for"
    f" everybody on a roster; {CI}: the lab of a CI job. Without one, that of {INVENTORY}, or the"
    " first.",
)
@click.option(
    "--roster",
    type=click.Path(dir_okay=False),
    help="The learners of a class, as YAML or CSV; with the inventory of a class, or of a CI job.",
)
@click.option("--prune", is_flag=True, help="Take the seats of those who left the roster.")
@json_option
@junit_option
@click.option("--force", is_flag=True, help="Go on although the machine is too small.")
@click.option(
    "--key-from",
    type=click.Choice(["store", "cluster"]),
    help="Which key is right, when the store's and the cluster's differ or one is gone.",
)
def up(
    inventory: str | None,
    roster: str | None,
    prune: bool,
    as_json: bool,
    junit: Path | None,
    force: bool,
    key_from: str | None,
) -> None:
    """Make the lab, or bring it back to what it should be.

    Everything is checked and only what differs is changed: a second run changes nothing. A run that
    was interrupted is continued by the next one. Exit code 4 says that some seats are not ready,
    and which; all others are.
    """
    known = _known(inventory)
    if roster is not None:
        if known not in {CLASSROOM, CI}:
            raise click.UsageError(f"--roster goes with {CLASSROOM} and {CI}")
        os.environ[ROSTER] = roster
    if prune and known != CLASSROOM:
        raise click.UsageError(f"--prune goes with {CLASSROOM}: it compares with a roster")
    data: dict[str, object] = {}
    if prune:
        data["prune"] = True
    if force:
        data["force"] = True
    if key_from is not None:
        data["key_from"] = key_from
    settings = settings_or_exit(data, as_json=as_json, inventory=known)
    # A port that is free now is not the one that a second look would find.
    data["git_port"] = settings.git_port
    console = Console()
    try:
        enrolment = enrol(settings.seats, read_enrolled(settings), prune=settings.prune)
    except LabError as error:
        end(error.code, [str(error)], as_json=as_json)
    if known == CLASSROOM and not as_json:
        for sentence in plan(enrolment):
            console.print(sentence, soft_wrap=True)
    result = deploy_or_exit("deploy.py", settings, data, as_json, console, known, junit=junit)
    _say_what_is_up(console, settings, result)
    if enrolment.seats:
        console.print(
            f"\nThe class: {len(enrolment.seats)} seats."
            " `sopslab cards` writes their hand-outs, `sopslab status` shows how far they are."
        )


def _known(inventory: str | None) -> str:
    """Return the inventory that is given, or chosen, relative to the project."""
    if inventory is None:
        try:
            return chosen_inventory()
        except LabError as error:
            raise click.UsageError(str(error)) from None
    known = known_inventory(inventory)
    if known is None:
        raise click.UsageError(
            f"{inventory} is none of the project's inventories: run `pyinfra {inventory} deploy.py`"
        )
    return known


def _say_what_is_up(console: Console, settings: Settings, result: Result) -> None:
    console.print(
        f"""
The lab {settings.lab} is up ({result.changed} changes, {result.seconds:.1f} s)

  cluster       {settings.lab_context}, kubeconfig {settings.lab_kubeconfig}
  repository    {settings.git_base_url}/{settings.learner_repository}.git
  clone         {settings.work_dir}
  canary        {CANARY_PATH} was decrypted by Flux
""",
        soft_wrap=True,
    )
    for remark in result.remarks:
        console.print(f"  {remark}\n", soft_wrap=True, markup=False)
    console.print(
        f"""Next:
  eval "$({sys.argv[0]} env)"
  cd {settings.work_dir} && less lab.md""",
        soft_wrap=True,
    )
