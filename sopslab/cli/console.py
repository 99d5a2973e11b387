"""The way to the terminal for output that has styles, or changes while it is shown.

Importing rich takes longer than most verbs run, so verbs that only print sentences do not use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment
from typing_extensions import override

from sopslab.policy.printing import printable

_WIDTH = 160  # columns, if there is no terminal that says how many


class Console(rich.console.Console):
    """A console of rich. Only printable text and the styles of the lab's own code reach the
    terminal. Texts have no markup: brackets are shown as they are."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"highlight": False, "markup": False, "emoji": False, **options})

    def make_room(self) -> None:
        """Widen the console for a table, if there is no terminal that says how wide it is."""
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
