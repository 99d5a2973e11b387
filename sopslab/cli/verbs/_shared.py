"""What the verbs have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from sopslab.checks.takeover import FORMAT, unfit
from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.config.enrolled import read_enrolled
from sopslab.config.inputs import chosen_inventory, local_settings
from sopslab.errors import Exit, InputError, LabError
from sopslab.model.formats import Format
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.cli.display import Display
    from sopslab.config.settings import Enrolled, Settings
    from sopslab.lab.tools.age import Passphrase
    from sopslab.run.runner import Result

# Sentences for each learner.
Plan = Mapping[str, Sequence[str]]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

install_docker_option = click.option(
    "--install-docker",
    is_flag=True,
    help="Install Docker, add to its configuration, or add you to its group, even where part of it"
    " is already here.",
)

LOOKS_AT_A_TIME = 24
"""For one environment. Some looks wait for others, and most of them wait for an answer."""

own_learner_argument = click.argument(
    "learner",
    required=False,
    metavar="[ID]",
    help="The learner. A lab without a class needs no ID.",
    shell_complete=completing.learners,
)
_ids = partial(click.argument, "ids", nargs=-1, shell_complete=completing.learners)
own_id_argument = _ids(metavar="[ID]", help="The learner. A lab without a class needs no ID.")
own_ids_argument = _ids(metavar="[ID...]", help="The learners. A lab without a class needs no ID.")
any_ids_argument = partial(_ids, metavar="[ID...]", help="The learners. Without any, everybody.")


def settings_or_exit(
    overrides: Mapping[str, object] | None = None,
    *,
    as_json: bool = False,
    inventory: str | None = None,
) -> Settings:
    """Return the settings of the local lab, or end the command with every problem in them and exit
    code 2.

    + inventory: relative to the project; without one, the inventory of SOPSLAB_INVENTORY
    """
    with problems_or_exit(as_json=as_json):
        return local_settings(overrides, inventory)


def lab_or_exit(overrides: Mapping[str, object] | None = None, *, as_json: bool) -> Settings:
    """Return the settings of a local lab that is going to be changed, or end the command with the
    reason why this version of the product must not change the lab."""
    settings = settings_or_exit(overrides, as_json=as_json)
    format_or_exit(settings, as_json=as_json)
    return settings


def format_or_exit(
    settings: Settings, *, as_json: bool = False, oldest: int = FORMAT
) -> Format | None:
    """Return the format of a lab, None without a lab; or end the command with the reason why this
    version of the product must not work on the lab.

    + oldest: the oldest format that the verb can work on
    """
    from sopslab.lab.observe.formats import lab_format

    with problems_or_exit(as_json=as_json):
        found = lab_format(settings.for_machine)
    refused = unfit(found, oldest)
    if refused is not None:
        end(Exit.FORMAT, [refused], as_json=as_json)
    return found


@contextmanager
def problems_or_exit(*, as_json: bool) -> Iterator[None]:
    """End the command with its problems if the block raises LabError, or with what could not be
    seen if it raises Undecided."""
    try:
        yield
    except LabError as error:
        end(error.code, str(error).splitlines(), as_json=as_json)
    except Undecided as reason:
        told = [reason.found, reason.next_step]
        end(Exit.FAILED, [": ".join(filter(None, told))], as_json=as_json)


def end(code: Exit, problems: Sequence[str], *, as_json: bool) -> NoReturn:
    """End a command that changed nothing with its problems: on standard error, or as JSON."""
    if as_json:
        echo_json({"ok": False, "changed": 0, "problems": list(problems)})
    else:
        for problem in problems:
            echo(problem, err=True)
    sys.exit(code)


def asked_secret(what: str, *, confirm: bool) -> str:
    """Return a secret: typed at a prompt without echo if there is a terminal, else the next line of
    standard input. Raises InputError if that is no text.

    + confirm: whether it has to be typed twice
    """
    if sys.stdin.isatty():
        text: str = click.prompt(what, hide_input=True, confirmation_prompt=confirm, err=True)
        return text
    try:
        # Python leaves the end of a line as it is on standard input, and Windows ends lines so.
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InputError([f"{what}: standard input is not UTF-8"]) from None


def asked_passphrase(*, confirm: bool = False) -> Passphrase:
    """Return the passphrase of a backup, as `asked_secret` does. Raises InputError if it cannot be
    one."""
    from sopslab.checks.backups import passphrase_problem
    from sopslab.lab.tools.age import Passphrase

    text = asked_secret("Passphrase of the backup", confirm=confirm)
    problem = passphrase_problem(text)
    if problem is not None:
        raise InputError([problem])
    return Passphrase(text)


def deploy_or_exit(
    deploy: str,
    settings: Settings,
    data: Mapping[str, object],
    as_json: bool,
    inventory: str | None = None,
    stdin: str = "",
    junit: Path | None = None,
    told: Callable[[Result], Result] | None = None,
) -> Result:
    """Run a deploy, show its progress, and return its result.

    Ends the command with the result's exit code if the deploy failed, and always after printing
    JSON.

    + inventory: relative to the project; without one, the inventory of SOPSLAB_INVENTORY
    + junit: the file for the steps of the deploy as JUnit XML
    + told: returns what JSON tells of a deploy that went well, where the command has more to say
    """
    # Imported here, because these modules take long to import, and help and completion do not need
    # them.
    from sopslab.files import events
    from sopslab.run.runner import run

    log_dir = Path(settings.lab_dir) / "log"
    began = datetime.now(UTC)
    with problems_or_exit(as_json=as_json):
        inventory = inventory or chosen_inventory()
        if as_json:
            result = run(deploy, data, log_dir, events.write, inventory, stdin)
        else:
            with _display() as display:
                result = run(deploy, data, log_dir, display.follow, inventory, stdin)
    if junit is not None:
        result = _reported(result, junit, began)
    if as_json:
        shown = told(result) if told is not None and result.code is Exit.OK else result
        echo_json(shown.as_dict())
        sys.exit(shown.code)
    if result.code is not Exit.OK:
        _show_problems(result)
        sys.exit(result.code)
    return result


def _reported(result: Result, junit: Path, began: datetime) -> Result:
    """Write the steps of a run as JUnit XML, and return its result. If they cannot be written, that
    is one more problem of the run, which keeps the exit code of its own failure."""
    from sopslab.cli.junit import write_junit
    from sopslab.cli.run_report import as_results

    verb = click.get_current_context().info_name
    try:
        write_junit(junit, f"sopslab.{verb}", as_results(result), began)
    except LabError as error:
        code = Exit.FAILED if result.code is Exit.OK else result.code
        return replace(result, code=code, problems=[*result.problems, str(error)])
    return result


def _display() -> Display:
    # rich takes long to import, and an answer in JSON does not need it.
    from sopslab.cli.console import Console
    from sopslab.cli.display import Display

    return Display(Console())


def _show_problems(result: Result) -> None:
    from rich.text import Text

    from sopslab.cli.console import Console

    console = Console()
    for problem in result.problems:
        console.print(Text(problem, "red"), soft_wrap=True)
    console.print(Text(f"The log is {result.log}", "dim"), soft_wrap=True)


def planned_or_exit(plan: Callable[[], Plan], as_json: bool) -> Plan:
    """Return what would be done for each learner, or end the command if that cannot be seen."""
    from sopslab.checks import causes
    from sopslab.lab.tools.programs import Failed

    with problems_or_exit(as_json=as_json):
        try:
            return plan()
        except Failed as failure:
            end(Exit.FAILED, [causes.reason(failure.lines)], as_json=as_json)


def say_who_has_ended(settings: Settings, learners: Collection[str]) -> None:
    """Say which seats of the learners get nothing from Flux now because the access has ended."""
    for seat in ended_among(read_enrolled(settings), learners):
        echo(
            f"the access of {seat.id} has ended at {seat.until}: the repository is as it should"
            " be, and Flux delivers it once there is a later time"
        )


def refuse_ended(enrolled: Sequence[Enrolled], learners: Collection[str]) -> None:
    """Raise InputError if the access of one of these learners has ended."""
    problems = [
        f"the access of {seat.id} has ended at {seat.until}: give a later time in the roster, and"
        " run `sopslab up` with it"
        for seat in ended_among(enrolled, learners)
    ]
    if problems:
        raise InputError(problems)


def ended_among(enrolled: Sequence[Enrolled], learners: Collection[str]) -> list[Enrolled]:
    """Return the seats of the learners whose access has ended."""
    now = datetime.now(UTC)
    return [seat for seat in enrolled if seat.id in learners and seat.has_ended(now)]


def show_plan(plan: Plan, nothing: str) -> None:
    """Print what would be done for each learner, and the sentence `nothing` for a learner for whom
    there is nothing to do."""
    for name, sentences in plan.items():
        echo(name)
        for sentence in sentences or [nothing]:
            echo(f"  {sentence}")
