"""The output of `sopslab status`: once, or on a terminal that is kept up to date."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from sopslab.cli import board
from sopslab.cli.console import Console
from sopslab.lab.board import Found
from sopslab.lab.parts import Part

_EVERY = 3.0  # seconds between two looks


def follow(look: Callable[[], Found], console: Console) -> NoReturn:
    """Show on the whole terminal what is up, and look again every few seconds."""
    with Live(Text("looking …", "dim"), console=console, screen=True, auto_refresh=False) as live:
        while True:
            found = look()
            lines: list[RenderableType] = [_one_line(part) for part in found.parts]
            if found.rows:
                room = console.height - len(lines) - 3
                rows = board.fitting(found.rows, console.width, room, time.time())
                lines += [Text(), rows, Text(), board.summary(found.rows)]
            live.update(Group(*lines), refresh=True)
            time.sleep(_EVERY)


def show(found: Found, console: Console) -> None:
    """Print what is up and, for a class, a line for each learner."""
    for part in found.parts:
        console.print(_line(part), soft_wrap=True)
    if found.rows:
        console.make_room()
        console.print()
        now = time.time()
        console.print(board.table(found.rows, console.width, now))
        console.print()
        for text in board.details(found.rows, now):
            console.print(text, soft_wrap=True)
        console.print(board.summary(found.rows))


def _line(part: Part) -> Text:
    mark = Text("✓ ", "green") if part.up else Text("✗ ", "red")
    return mark + Text(f"{part.name:<14}{part.where}: {part.state}")


def _one_line(part: Part) -> Text:
    line = _line(part)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
