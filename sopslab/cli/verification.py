"""`python -m sopslab.cli.verification`: what `sopslab verify` becomes, without pyinfra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sopslab.cli import verification_report as report
from sopslab.cli.terminal import Console, echo, echo_json
from sopslab.config.environment import solo
from sopslab.config.inputs import local_settings
from sopslab.config.naming import check_label
from sopslab.config.settings import Settings
from sopslab.errors import Exit, LabError
from sopslab.lab import verification as checks
from sopslab.lab.drill import score_staged
from sopslab.lab.observe.observer import Observer
from sopslab.lab.tools.programs import keep_to_the_lab
from sopslab.model.results import Result, Status, exit_code

_AT_A_TIME = 24  # looks; some of them wait for others, and most of them for an answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify the lab of the present settings and return the exit code."""
    parser = argparse.ArgumentParser(prog="sopslab verify", description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--junit", type=Path)
    parser.add_argument("--wait", type=float, default=0.0)
    parser.add_argument("--secret", required=True)
    given = parser.parse_args(arguments)
    try:
        settings = local_settings()
        check_label(given.secret)
    except (LabError, ValueError) as error:
        echo(error, err=True)
        return Exit.INPUT
    keep_to_the_lab(settings)
    began = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        results = verify(settings, given.secret, given.wait, as_json=given.as_json)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    if given.junit is not None:
        try:
            given.junit.write_text(report.as_junit(results, began), encoding="utf-8")
        except OSError as error:
            echo(f"{given.junit} cannot be written: {error.strerror}", err=True)
            return Exit.INPUT
    return exit_code(results)


def verify(settings: Settings, secret: str, wait: float, *, as_json: bool) -> list[Result]:
    """Run every check, score a drill if one is staged, show the results and return them."""
    console = Console()
    listed = checks.checks(embedded_server=settings.git_url is None)

    def tell(result: Result) -> None:
        if not as_json:
            console.print(report.as_text(result), soft_wrap=True)

    with ThreadPoolExecutor(_AT_A_TIME) as executor:
        observer = Observer(settings, solo(settings), Path.cwd(), executor, secret)
        results = checks.verify(observer, listed, wait, tell)
        work = observer.work
    steps, exposed = _drill(settings)
    for step in steps:
        tell(step)
    results += steps
    if as_json:
        echo_json(report.as_json(results, None if work is None else str(work), exposed))
        return results
    console.print(report.conclusion(results), soft_wrap=True)
    for sentence in exposed:
        console.print(f"Exposed for ever: {sentence}", soft_wrap=True)
    return results


def _drill(settings: Settings) -> tuple[list[Result], list[str]]:
    """Return the steps of a drill as checks, and what stays exposed; nothing if none is staged."""
    try:
        score = score_staged(settings, solo(settings))
    except LabError as error:
        return [Result("drill", Status.UNKNOWN, str(error), "", 0.0)], []
    if score is None:
        return [], []
    return [replace(step, id=f"drill-{step.id}") for step in score.steps], score.exposed


if __name__ == "__main__":
    sys.exit(main())
