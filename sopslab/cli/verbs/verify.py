"""`sopslab verify`: whether the learner's secret went the whole way that the chapter shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.junit import junit_option, write_junit
from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import LOOKS_AT_A_TIME, end, json_option
from sopslab.config.environment import solo
from sopslab.config.inputs import local_settings
from sopslab.config.naming import check_label
from sopslab.course.chapter import SECRET
from sopslab.errors import Exit, LabError
from sopslab.lab.tools.programs import keep_to_the_lab
from sopslab.model.results import Result, Status, exit_code

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@click.command(cls=RoomVerb)
@json_option
@junit_option
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    show_default=True,
    help="Give Flux this long to reach the pushed commit; each check is told as it turns.",
)
@click.option("--secret", default=SECRET, show_default=True, help="The Secret of the exercise.")
def verify(as_json: bool, junit: Path | None, wait: float, secret: str) -> None:
    """Check the chapter's exercise, step by step, and say what to do next.

    Looks at the learner's clone that you are in, or else at the lab's own. No value of a Secret is
    shown, written or passed on; content is compared by hash.

    Exit code: 0 all is well, 1 something is not, 2 something could not be decided.
    """
    try:
        settings = local_settings()
        check_label(secret)
    except (LabError, ValueError) as error:
        end(Exit.INPUT, str(error).splitlines(), as_json=as_json)
    keep_to_the_lab(settings)
    began = datetime.now(UTC)
    results = (_answer if as_json else _tell)(settings, secret, wait)
    if junit is not None:
        try:
            write_junit(junit, "sopslab.verify", results, began)
        except LabError as error:
            echo(error, err=True)
            sys.exit(error.code)
    sys.exit(exit_code(results))


@dataclass(frozen=True)
class _Verified:
    """The results of all checks, the clone that was looked at, and what stays exposed for ever
    after a drill."""

    results: list[Result]
    work: str | None
    exposed: list[str]


def _answer(settings: Settings, secret: str, wait: float) -> list[Result]:
    """Run every check, print the results as JSON, and return them."""
    from sopslab.cli import answers

    found = _verify(settings, secret, wait, lambda _result: None, lambda _step, _found, _s: None)
    echo_json(answers.of_checks(found.results, found.work, found.exposed))
    return found.results


def _tell(settings: Settings, secret: str, wait: float) -> list[Result]:
    """Run every check, show each result as soon as there is one, and return them all."""
    # Imported here, because neither the help nor an answer in JSON needs it.
    from sopslab.cli import verification_report as report
    from sopslab.cli.console import Console

    console = Console()

    def tell(result: Result) -> None:
        console.print(report.as_text(result), soft_wrap=True)

    def tell_wait(check: str, found: str, seconds: float) -> None:
        console.print(report.waiting(check, found, seconds), soft_wrap=True)

    found = _verify(settings, secret, wait, tell, tell_wait)
    console.print(report.conclusion(found.results), soft_wrap=True)
    for sentence in found.exposed:
        console.print(f"Exposed for ever: {sentence}", soft_wrap=True)
    return found.results


def _verify(
    settings: Settings,
    secret: str,
    wait: float,
    tell: Callable[[Result], None],
    tell_wait: Callable[[str, str, float], None],
) -> _Verified:
    """Run every check, score a drill if one is staged, and return what was found."""
    # Imported here, because the help does not need it.
    from sopslab.lab import verification as checks
    from sopslab.lab.observe.observer import Observer, viewpoint_of

    viewpoint = viewpoint_of(settings, solo(settings), Path.cwd(), secret)
    listed = checks.checks(embedded_server=settings.git_embedded)
    with ThreadPoolExecutor(LOOKS_AT_A_TIME) as executor:
        observer = Observer(settings, executor)
        results = checks.verify(observer, viewpoint, listed, wait, tell, tell_wait)
    steps, exposed = _drill(settings)
    for step in steps:
        tell(step)
    work = str(viewpoint.work) if isinstance(viewpoint.work, Path) else None
    return _Verified([*results, *steps], work, exposed)


def _drill(settings: Settings) -> tuple[list[Result], list[str]]:
    """Return the steps of a drill as checks, and what stays exposed; empty without a drill."""
    from sopslab.incidents.leak import read_staged

    learner = solo(settings)
    try:
        staged = read_staged(settings, learner.id)
        if staged is None:
            return [], []
        # Imported here: it takes long, and most labs have no drill.
        from sopslab.lab.drill import score_of

        score = score_of(settings, learner, staged)
    except LabError as error:
        return [Result("drill", Status.UNKNOWN, str(error), "", 0.0)], []
    return [replace(step, id=f"drill-{step.id}") for step in score.steps], score.exposed
