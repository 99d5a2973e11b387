"""`sopslab doctor`: what is wrong, and what helps."""

from __future__ import annotations

import os
import sys

import click

from sopslab.cli import completing

__all__ = ["doctor"]


@click.command()
@click.argument(
    "learner",
    required=False,
    metavar="[ID]",
    help="The learner. A lab without a class needs no ID.",
    shell_complete=completing.learners,
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def doctor(learner: str | None, as_json: bool) -> None:
    """Name the causes for which the secrets of the learner ID do not arrive.

    Looks at the cluster, the Git server's main and the lab's files, at each link itself: what Flux
    says of one cause may hide another. An exercise that is not finished is no fault.

    Exit code: 0 nothing is wrong, 1 something is, 2 it could not be decided.
    """
    arguments = ["--json"] if as_json else []
    if learner is not None:
        arguments += ["--", learner]
    # The kubernetes package must not share a process with pyinfra. Nothing is imported from the
    # folder that one is in.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "sopslab.cli.doctor", *arguments])
