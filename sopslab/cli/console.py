"""The way to the terminal for output with styles, or that changes while it is shown.

Importing rich takes longer than most verbs: those that only print sentences do not use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment
from typing_extensions import override

from sopslab.policy.printing import printable

_WIDTH = 160  # columns, where no terminal says how many


class Console(rich.console.Console):
    """A console of rich that sends only printable text to the terminal, and the styles of our own
    code. Texts have no markup: brackets are brackets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def make_room(self) -> None:
        """Have room for a table, where no terminal says how wide it is."""
        if not self.is_terminal:
            self.width = _WIDTH

    @override
    def render(
        self,
        renderable: rich.console.RenderableType,
        options: rich.console.ConsoleOptions | None = None,
    ) -> Iterable[Segment]:
        """Yield the segments of what is shown, all of them printable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield segment._replace(text=printable(segment.text))
