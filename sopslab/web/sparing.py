"""When the class is looked at anew: what learners do begins with a push, and a push shows in files.

A look at a class costs a fifth of a second of a processor and more, and in most of the seconds of a
lesson there is nothing new to see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.enrolled import read_enrolled
from sopslab.config.environment import at_seat, bare_repository
from sopslab.lab.board import Found
from sopslab.lab.observe.refs import mark_of
from sopslab.model.mark import MARK

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

SETTLING_S = 10.0
"""For so long after a push each question is a look: Flux is at work."""
OLD_S = 10.0
"""What was seen longer ago is looked at again in any case: the cluster changes by itself, too."""


class Sparing:
    """A look that answers with what it has seen last, while that is likely to be true."""

    def __init__(
        self,
        look: Callable[[], Found],
        moved: Callable[[], Hashable | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        + look: looks; may raise
        + moved: returns what is another one after a push, None where it cannot tell
        + clock: in seconds
        """
        self._look, self._moved, self._clock = look, moved, clock
        self._mark: Hashable | None = None
        self._found: Found | None = None
        self._pushed_at = self._looked_at = clock()

    def __call__(self) -> Found:
        """Return the class as it is, or as it was seen a moment ago. Raises what a look raises."""
        now, mark = self._clock(), self._moved()
        if mark is None or mark != self._mark:
            self._mark, self._pushed_at = mark, now
        settling = now - self._pushed_at < SETTLING_S
        if self._found is None or settling or now - self._looked_at >= OLD_S:
            # A look that fails leaves nothing that could be taken for what is there now.
            self._found = None
            self._found = self._look()
            self._looked_at = now
        return self._found


def pushes(settings: Settings) -> Hashable | None:
    """Return what is another one as soon as somebody has pushed, asked for help, or come to the
    class; None where that cannot be told. Raises LabError where the roster cannot be read."""
    marks: list[Hashable] = []
    for seat in read_enrolled(settings):
        repository = bare_repository(settings, at_seat(seat))
        mark = mark_of(repository)
        if mark is None:
            return None
        marks.append((seat.id, mark, _changed(Path(repository, MARK))))
    return tuple(marks)


def _changed(file: Path) -> int | None:
    """Return when a file was written, in nanoseconds; None where it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
