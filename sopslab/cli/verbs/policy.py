"""``sopslab policy``: the no-secrets policy on trees, history, the index and pushes."""

from __future__ import annotations

import sys

import click

from sopslab.cli.verbs._shared import json_option
from sopslab.config.tools import find_tools
from sopslab.policy import callers


@click.group()
def policy() -> None:
    """Look for secrets in plain text and for key material.

    Exit code: 0 clean, 1 findings, 2 could not decide.
    """
    find_tools("gitleaks")


@policy.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", help="Files and folders.")
@json_option
def check(paths: tuple[str, ...], as_json: bool) -> None:
    """Check files and trees on disk; no Git is needed."""
    sys.exit(callers.show(callers.check(paths), as_json))


@policy.command()
@click.argument("repository", default=".", metavar="[REPO]", help="The repository.")
@json_option
def history(repository: str, as_json: bool) -> None:
    """Check every file version in the history of a repository."""
    sys.exit(callers.show(callers.history(repository), as_json))


@policy.command("pre-commit")
@click.argument("paths", nargs=-1, metavar="[PATH...]", help="Not looked at.")
@json_option
def pre_commit(paths: tuple[str, ...], as_json: bool) -> None:
    """Check what is staged, whatever PATHs the caller appends."""
    sys.exit(callers.show(callers.pre_commit(), as_json))


@policy.command("pre-receive")
@json_option
def pre_receive(as_json: bool) -> None:
    """Check what a push adds; its refs are read from standard input as Git gives them."""
    lines = [line.rstrip("\n") for line in sys.stdin]
    sys.exit(callers.show(callers.pre_receive(lines), as_json))
