"""When to look at the class again: after a learner's push, which shows in files, and after the
cluster has reported what Flux makes of it.

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
"""A look is made at least this often, because keys and roles change without a push."""
PARTS_S = 30.0
"""If all parts of a lab are up, they are not looked at again for this time."""


class Sparing:
    """A look that returns the result of the last one as long as it is likely to be still true."""

    def __init__(
        self,
        look: Callable[[], Found],
        moved: Callable[[], Hashable | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        + look: looks at the class; may raise
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
    """A look at the parts of a lab that returns the result of the last one for a while."""

    def __init__(
        self,
        look: Callable[[], Callable[[], Sequence[Part]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        + look: begins a look, and returns a function that waits for its result
        + clock: in seconds
        """
        self._look, self._clock = look, clock
        self._parts: Sequence[Part] | None = None
        self._looked_at = clock()

    def __call__(self) -> Callable[[], Sequence[Part]]:
        """Begin a look if the last one is too old; return a function that waits for the result."""
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
    """Return a value that changes when there is something new to see; None if this is not known.
    Raises LabError if the roster cannot be read."""
    pushed = pushes(settings)
    return None if pushed is None else (pushed, cluster.mark)


def pushes(settings: Settings) -> Hashable | None:
    """Return a value that changes when a learner pushes, asks for help, or joins the class; None if
    this is not known. Raises LabError if the roster cannot be read."""
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
    """Return when a file was last changed, in nanoseconds since 1970; None without the file."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
