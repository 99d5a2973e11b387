"""`sopslab break`: break an environment to practise on."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from sopslab.cli import completing
from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    json_option,
    lab_or_exit,
    problems_or_exit,
    refuse_ended,
)
from sopslab.config.enrolled import named_environments, read_enrolled
from sopslab.course.faults import FAULTS, injectable
from sopslab.errors import InputError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_SEEDS = 10**6


def _scenario_or_learner(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    if context.params["words"] or context.params["exam"]:
        return completing.learners(context, parameter, incomplete)
    return [fault.id for fault in FAULTS if fault.id.startswith(incomplete)]


class _Break(RoomVerb):
    """The verb in a room: the learner's id follows the faults."""

    naming = ("words",)

    @override
    def about_no_lab(self, params: Mapping[str, Any]) -> bool:
        return bool(params["listing"])

    @override
    def learners(self, params: Mapping[str, Any]) -> Sequence[str]:
        words: tuple[str, ...] = params["words"]
        return words if params["exam"] else words[1:]

    @override
    def words(self, ctx: click.Context) -> list[str]:
        if ctx.params["exam"] and ctx.params["seed"] is None:
            raise click.UsageError("--random needs a --seed in a room: no seat tells what it drew")
        scenarios = () if ctx.params["exam"] else ctx.params["words"][:1]
        return [*scenarios, *super().words(ctx)]


@click.command("break", cls=_Break, named=True)
@click.argument(
    "words",
    nargs=-1,
    metavar="[SCENARIO] [ID]",
    help="What to break, and whose environment. A lab without a class needs no ID.",
    shell_complete=_scenario_or_learner,
)
@click.option("--list", "listing", is_flag=True, help="List the faults, and what each teaches.")
@click.option("--random", "exam", is_flag=True, help="An exam: draw a fault, and do not name it.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Draw the same faults again.")
@click.option(
    "--count",
    type=click.IntRange(1, 2),
    metavar="N",
    help="How many an exam draws; without it, one.",
)
@json_option
def break_(
    words: tuple[str, ...],
    listing: bool,
    exam: bool,
    seed: int | None,
    count: int | None,
    as_json: bool,
) -> None:
    """Break the environment of the learner ID, who is to find out what is wrong.

    The exercise has to be done there; `sopslab reset ID --to done` does it. The fault is real, in
    the cluster or in a commit of a teammate on the Git server, and `sopslab fix` undoes it. In a
    class, no other environment is touched: faults in what everybody shares are only for a lab
    without a class.
    """
    if listing:
        _show_list(as_json)
        return
    scenarios, ids = ((), words) if exam else (words[:1], words[1:])
    settings = lab_or_exit({"faults": scenarios, "learners": ids}, as_json=as_json)
    with problems_or_exit(as_json=as_json):
        _check_options(scenarios, exam=exam, draws=(seed, count), as_json=as_json)
        learner = _learner(settings)
    data: dict[str, object] = {"learners": json.dumps([learner])}
    if exam:
        data |= {
            "exam": secrets.randbelow(_SEEDS) if seed is None else seed,
            "exam_faults": count or 1,
        }
    else:
        data["faults"] = json.dumps(scenarios)
    result = deploy_or_exit("deploys/break.py", settings, data, as_json)
    what = f"the exam with --seed {data['exam']}" if exam else scenarios[0]
    echo(
        f"\nThe environment of {learner} is broken: {what} ({result.seconds:.1f} s). `sopslab fix "
        f"{learner}` undoes"
        " it."
    )


def _check_options(
    scenarios: tuple[str, ...], *, exam: bool, draws: tuple[int | None, ...], as_json: bool
) -> None:
    """Raise InputError with every problem in the combination of options."""
    problems = []
    if not exam and not scenarios:
        problems.append("name a scenario (`sopslab break --list` lists them), or --random")
    if not exam and any(draw is not None for draw in draws):
        problems.append("--seed and --count go with --random")
    if exam and as_json and draws[0] is None:
        problems.append("--json with --random needs a --seed, because a drawn one is not printed")
    if problems:
        raise InputError(problems)


def _learner(settings: Settings) -> str:
    """Return the learner whose environment is meant.

    Raises InputError if not exactly one is meant, if Flux delivers nothing there because the access
    has ended, or if a fault would reach others, too.
    """
    environment, *others = named_environments(settings, settings.learners)
    learner = environment.id
    if others:
        named = ", ".join(other.id for other in others)
        raise InputError([f"one at a time: {learner} or {named}"])
    enrolled = read_enrolled(settings)
    refuse_ended(enrolled, [learner])
    in_class = bool(enrolled)
    allowed = [fault.id for fault in injectable(seat=environment.is_seat, in_class=in_class)]
    refused = [fault for fault in settings.faults if fault not in allowed]
    if refused:
        raise InputError(
            [
                f"{fault} would reach the whole class; for {learner} there are {', '.join(allowed)}"
                for fault in refused
            ]
        )
    return learner


def _show_list(as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "id": fault.id,
                "title": fault.title,
                "teaches": fault.teaches,
                "changes": fault.part.value,
                "in_class": fault in injectable(seat=True, in_class=True),
            }
            for fault in FAULTS
        ]
        echo_json(listed)
        return
    for fault in FAULTS:
        alone = "" if fault in injectable(seat=True, in_class=True) else " (not in a class)"
        echo(f"{fault.id}{alone}: {fault.title}")
        echo(f"  {fault.teaches}")
