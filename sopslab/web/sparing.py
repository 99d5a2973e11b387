"""When to look at the class again: a learner's work begins with a push, which shows in files, and
the cluster reports what Flux makes of it.

In most seconds of a lesson nothing has changed, and a look would find nothing new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.enrolled import read_enrolled
from sopslab.config.environment import at_seat, bare_repository
from sopslab.lab.board import Found
from sopslab.lab.observe.copies import bring
from sopslab.lab.observe.following import Following
from sopslab.lab.observe.refs import mark_of
from sopslab.lab.parts import Part
from sopslab.model.mark import MARK

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

OLD_S = 10.0
"""After so long there is a look in any case: keys and roles change without a push."""
PARTS_S = 30.0
"""For so long the parts of a lab that is up count as up."""


class Sparing:
    """A look that returns what the last one has found, as long as that is likely to be true."""

    def __init__(
        self,
        look: Callable[[], Found],
        moved: Callable[[], Hashable | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        + look: looks; may raise
        + moved: returns a value that changes when there is something new, None if it cannot tell
        + clock: in seconds
        """
        self._look, self._moved, self._clock = look, moved, clock
        self._mark: Hashable | None = None
        self._found: Found | None = None
        self._looked_at = clock()

    def __call__(self) -> Found:
        """Return the class as it is, or as the last look found it. Raises what a look raises."""
        now, mark = self._clock(), self._moved()
        moved = mark is None or mark != self._mark
        if self._found is None or moved or now - self._looked_at >= OLD_S:
            # After a look that fails, nothing older is returned.
            self._found, self._mark = None, mark
            self._found = self._look()
            self._looked_at = now
        return self._found


class SparingParts:
    """A look at the parts of a lab that returns what the last one has found, for a while."""

    def __init__(
        self,
        look: Callable[[], Callable[[], Sequence[Part]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        + look: begins to look, and returns what waits for the end of that
        + clock: in seconds
        """
        self._look, self._clock = look, clock
        self._parts: Sequence[Part] | None = None
        self._looked_at = clock()

    def __call__(self) -> Callable[[], Sequence[Part]]:
        """Begin to look if it is time, and return what waits for the end of that."""
        now, known = self._clock(), self._parts
        if known is not None:
            lasts = PARTS_S if all(part.up for part in known) else OLD_S
            if now - self._looked_at < lasts:
                return lambda: known
        wait = self._look()
        self._looked_at = now

        def end() -> Sequence[Part]:
            self._parts = wait()
            return self._parts

        return end


def news(settings: Settings, cluster: Following) -> Hashable | None:
    """Return a value that changes when there is something new to see; None if that cannot be told.
    Raises LabError if the roster cannot be read."""
    pushed = pushes(settings)
    return None if pushed is None else (pushed, cluster.mark)


def pushes(settings: Settings) -> Hashable | None:
    """Return a value that changes when a learner pushes, asks for help, or joins the class; None if
    that cannot be told. Raises LabError if the roster cannot be read."""
    marks: list[Hashable] = []
    environments = [at_seat(seat) for seat in read_enrolled(settings)]
    if bring(settings, environments):
        return None
    for one in environments:
        repository = bare_repository(settings, one)
        mark = mark_of(repository)
        if mark is None:
            return None
        marks.append((one.id, mark, _changed(Path(repository, MARK))))
    return tuple(marks)


def _changed(file: Path) -> int | None:
    """Return when a file was written, in nanoseconds; None without the file."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
