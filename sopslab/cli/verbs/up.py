"""`sopslab up`: make the lab."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.checks.takeover import takeover_plan
from sopslab.cli.junit import junit_option
from sopslab.cli.room_verb import limit_option
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    format_or_exit,
    install_docker_option,
    json_option,
    planned_or_exit,
    problems_or_exit,
    settings_or_exit,
    show_plan,
)
from sopslab.config.enrolled import read_enrolled
from sopslab.config.enrolment import Enrolment, enrolment_for, plan
from sopslab.config.inputs import (
    CI,
    CLASSROOM,
    INVENTORY,
    LOCAL,
    MACHINES,
    ROSTER,
    SEATS,
    chosen_inventory,
    known_inventory,
)
from sopslab.errors import LabError
from sopslab.layout import CANARY_PATH
from sopslab.model.formats import Format
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.run.runner import Result


@click.command()
@click.argument(
    "inventory",
    required=False,
    metavar="[INVENTORY]",
    help=f"{LOCAL}: one learner's lab; {CLASSROOM}: the same with an isolated environment for"
    f" everybody on a roster; {SEATS}: a room, with a lab on the machine of each; {CI}: the lab"
    f" of a CI job. Without one, that of {INVENTORY}, or the first.",
    shell_complete=lambda _context, _parameter, incomplete: [
        inventory for inventory in (LOCAL, CLASSROOM, SEATS, CI) if inventory.startswith(incomplete)
    ],
)
@click.option(
    "--roster",
    type=click.Path(dir_okay=False),
    help="The learners, as YAML or CSV; with the inventory of a class, of a room, or of a CI job.",
)
@click.option(
    "--spare",
    "spares",
    type=click.IntRange(1, 100),
    metavar="NUMBER",
    help="How many seats to have without a learner, for `sopslab assign`.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Archive the seats of those who left the roster, and spares beyond --spare.",
)
@click.option(
    "--machines",
    metavar="@SOURCE",
    help="The machines of a room, if they are not on the roster: @vagrant, or @terraform/OUTPUT.",
)
@limit_option
@click.option("--recreate", is_flag=True, help="Replace the cluster; keys and repositories stay.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what becomes of a lab that another version made, and change nothing.",
)
@json_option
@junit_option
@click.option("--force", is_flag=True, help="Go on although the machine is too small.")
@install_docker_option
@click.option(
    "--key-from",
    type=click.Choice(["store", "cluster"]),
    help="Which key is right, when the store's and the cluster's differ or one is gone.",
)
def up(
    inventory: str | None,
    roster: str | None,
    spares: int | None,
    machines: str | None,
    limit: tuple[str, ...],
    prune: bool,
    recreate: bool,
    dry_run: bool,
    as_json: bool,
    junit: Path | None,
    force: bool,
    install_docker: bool,
    key_from: str | None,
) -> None:
    """Make the lab, or bring it back to what it should be.

    Everything is checked and only what differs is changed: a second run changes nothing. A run that
    was interrupted is continued by the next one. Exit code 4: some seats are not ready, and are
    named; all others are.

    In a room, tools and images go from this machine's store to each seat by SSH, and the seat makes
    its own lab of them.
    """
    known = _known(inventory)
    if roster is not None:
        if known not in {CLASSROOM, SEATS, CI}:
            raise click.UsageError(f"--roster goes with {CLASSROOM}, {SEATS} and {CI}")
        os.environ[ROSTER] = roster
    if machines is not None:
        os.environ[MACHINES] = machines
    if known != SEATS and (machines is not None or limit):
        raise click.UsageError(f"--machines and --limit go with {SEATS}")
    if prune and known != CLASSROOM:
        raise click.UsageError(f"--prune goes with {CLASSROOM}: it compares with a roster")
    if spares is not None and known != CLASSROOM:
        raise click.UsageError(f"--spare goes with {CLASSROOM}: only a class has seats")
    asked: dict[str, object] = {
        "spares": spares, "prune": prune, "recreate": recreate, "force": force,
        "install_docker": install_docker, "key_from": key_from,
    }  # fmt: skip
    data = {name: value for name, value in asked.items() if value}
    if known == SEATS:
        if dry_run or junit is not None:
            raise click.UsageError("--dry-run and --junit go with a lab on this machine")
        _up_at_seats(limit, data, as_json)
        return
    settings = settings_or_exit(data, as_json=as_json, inventory=known)
    found = format_or_exit(settings, as_json=as_json, oldest=0)
    if dry_run:
        _tell_plan(settings, found, as_json)
        return
    # The deploy reads the settings again, and might choose another free port.
    data["git_port"] = settings.git_port
    with problems_or_exit(as_json=as_json):
        enrolment = enrolment_for(settings, read_enrolled(settings))
    if not as_json:
        for sentence in takeover_plan(found):
            echo(sentence)
    if known == CLASSROOM and not as_json:
        for sentence in plan(enrolment):
            echo(sentence)
    result = deploy_or_exit("deploy.py", settings, data, as_json, known, junit=junit)
    _say_what_is_up(settings, result)
    if enrolment.seats:
        echo(
            f"\nThe class: {_counted(enrolment)}."
            " `sopslab cards` writes their hand-outs, `sopslab status` shows how far they are."
        )


def _counted(enrolment: Enrolment) -> str:
    """Return how many seats there are: `30 seats`, or `30 seats, and 2 spares`."""
    spares = sum(seat.free for seat in enrolment.seats)
    taken = counted(len(enrolment.seats) - spares, "seat")
    if not spares:
        return taken
    return f"{taken}, and {counted(spares, 'spare')}"


def _up_at_seats(limit: Sequence[str], data: Mapping[str, object], as_json: bool) -> None:
    """Make the labs of a room, and say which are up."""
    from sopslab.cli import room

    options = {f"--{name.replace('_', '-')}": value for name, value in data.items()}
    words = [name if value is True else f"{name}={value}" for name, value in options.items()]
    seats = room.seats_or_exit(limit, as_json=as_json)
    result = room.at_seats(room.MAKE, seats, ["up", *words], as_json=as_json)
    room.tell_or_exit(seats, result, as_json)
    echo(
        f"\nThe room is up: {counted(len(seats.ids), 'seat')}"
        f" ({counted(result.changed, 'change')}, {result.seconds:.1f} s)."
        f" `sopslab status` shows how far they are, where {INVENTORY} is {SEATS}."
    )


def _tell_plan(settings: Settings, found: Format | None, as_json: bool) -> None:
    # Imported here, because reading the catalog takes longer than everything before.
    from sopslab.artifacts.catalog import load_catalog
    from sopslab.lab.takeover import plan_takeover

    image = load_catalog(settings.catalog).node_tag
    plan = planned_or_exit(lambda: {settings.lab: plan_takeover(settings, found, image)}, as_json)
    if as_json:
        echo_json({"ok": True, "changed": 0, "plan": plan})
    else:
        show_plan(plan, "all of it is this version's already")


def _known(inventory: str | None) -> str:
    """Return the inventory that was given or chosen, relative to the project."""
    if inventory is None:
        try:
            return chosen_inventory()
        except LabError as error:
            raise click.UsageError(str(error)) from None
    known = known_inventory(inventory)
    if known is None:
        raise click.UsageError(
            f"{inventory} is not one of the project's inventories: run `pyinfra {inventory} "
            "deploy.py`"
        )
    return known


def _say_what_is_up(settings: Settings, result: Result) -> None:
    echo(
        f"""
The lab {settings.lab} is up ({counted(result.changed, "change")}, {result.seconds:.1f} s)

  cluster       {settings.lab_context}, kubeconfig {settings.lab_kubeconfig}
  repository    {settings.git_base_url}/{settings.learner_repository}.git
  clone         {settings.work_dir}
  canary        {CANARY_PATH} was decrypted by Flux, if it is still listed
"""
    )
    for remark in result.remarks:
        echo(f"  {remark}\n")
    echo(
        f"""Next:
  eval "$({shlex.quote(sys.argv[0])} env)"
  cd {shlex.quote(settings.work_dir)} && less lab.md"""
    )
