"""The one way to the terminal, with `console`. Much of what is shown was written by others, so all
of it passes `printable`: no caller has to know which part of a sentence came from where.
"""

from __future__ import annotations

import click

from sopslab.policy.printing import printable


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, on standard error if `err`; without an end of the line if not `nl`."""
    click.echo(printable(str(text)), err=err, nl=nl)


def echo_json(text: str) -> None:
    """Print what `json.dumps` made: it has escaped all that has to be escaped, except DEL."""
    click.echo(text.replace("\x7f", "\\u007f"))
