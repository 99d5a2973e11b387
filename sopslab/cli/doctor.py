"""`python -m sopslab.cli.doctor`: what `sopslab doctor` becomes, in a process without pyinfra."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sopslab.checks.diagnosis import diagnose
from sopslab.cli import doctor_report as report
from sopslab.cli.terminal import Console, echo, echo_json
from sopslab.config.enrolled import named_environments
from sopslab.config.inputs import local_settings
from sopslab.errors import Exit, LabError
from sopslab.lab.observe.observer import Observer
from sopslab.lab.tools.programs import keep_to_the_lab

_AT_A_TIME = 24  # looks; some of them wait for others, and most of them for an answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine one environment of the present settings' lab, and return the exit code."""
    parser = argparse.ArgumentParser(prog="sopslab doctor", description=__doc__)
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("learner", nargs="?")
    given = parser.parse_args(arguments)
    asked = [] if given.learner is None else [given.learner]
    try:
        settings = local_settings({"subjects": asked})
        (environment,) = named_environments(settings, settings.subjects)
    except LabError as error:
        echo(error, err=True)
        return Exit.INPUT
    keep_to_the_lab(settings)
    try:
        with ThreadPoolExecutor(_AT_A_TIME) as executor:
            observer = Observer(settings, environment, Path.cwd(), executor)
            diagnosis = diagnose(observer.outside())
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    if given.as_json:
        echo_json(report.as_json(diagnosis, environment.id))
    else:
        console = Console()
        for text in report.as_text(diagnosis):
            console.print(text, soft_wrap=True)
    return diagnosis.exit_code


if __name__ == "__main__":
    sys.exit(main())
