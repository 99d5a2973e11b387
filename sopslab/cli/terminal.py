"""The only way to the terminal, besides `console`.

Much of the output contains texts that other people wrote. So all output passes `printable`, and no
caller has to know where a part of a sentence comes from.
"""

from __future__ import annotations

import json

import click

from sopslab.policy.printing import escaped, printable


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, on standard error if `err`; without a line feed at its end if not `nl`."""
    click.echo(printable(str(text)), err=err, nl=nl)


def echo_csv(table: str) -> None:
    """Print a table whose lines may have any length: a line that is cut off would take the next
    lines with it, because its last cell has no end."""
    click.echo(escaped(table), nl=False)


def echo_json(answer: object) -> None:
    """Print what JSON can express, with all control characters escaped."""
    # json.dumps escapes all of them except DEL.
    click.echo(json.dumps(answer, indent=2).replace("\x7f", "\\u007f"))
