"""The one way to the terminal. Much of what is shown was written by others, so all of it passes
`printable`: no caller has to know which part of a sentence came from where.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
import rich.console
from rich.segment import Segment
from typing_extensions import override

from sopslab.policy.printing import printable


class Console(rich.console.Console):
    """A console of rich that sends nothing to the terminal but text that can be seen, and the
    styles that our own code gives it. Texts hold no markup: brackets are brackets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    @override
    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """Yield the segments of whatever is shown, each of them printable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=printable(segment.text))


def echo(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text, on standard error if `err`; without an end of the line if not `nl`."""
    click.echo(printable(str(text)), err=err, nl=nl)


def echo_json(text: str) -> None:
    """Print what `json.dumps` made: it has escaped all that is to be escaped, but for DEL."""
    click.echo(text.replace("\x7f", "\\u007f"))
