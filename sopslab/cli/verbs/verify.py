"""`sopslab verify`: whether the learner's secret went the chapter's whole way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sopslab.cli.junit import junit_option
from sopslab.course.chapter import SECRET

__all__ = ["verify"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@junit_option
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    show_default=True,
    help="Give Flux this long to reach the pushed commit.",
)
@click.option("--secret", default=SECRET, show_default=True, help="The Secret of the exercise.")
def verify(as_json: bool, junit: Path | None, wait: float, secret: str) -> None:
    """Check the chapter's exercise, step by step, and say what to do next.

    Looks at the clone of the learner's repository that one is in, or else at the lab's own. No
    value of a Secret is shown, written or passed on; content is compared by hash.

    Exit code: 0 all is well, 1 something is not, 2 something could not be decided.
    """
    arguments = ["--secret", secret, "--wait", str(wait)]
    if as_json:
        arguments.append("--json")
    if junit is not None:
        arguments += ["--junit", str(junit)]
    # The kubernetes package must not share a process with pyinfra. Nothing is imported from the
    # folder that one is in.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "sopslab.cli.verification", *arguments])
