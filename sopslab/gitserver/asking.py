"""Answer a learner who pushes to `help` or to `hint`.

Such a push is a question. It leaves nothing but two files in the bare repository: the mark that the
learner asks for help, and how many hints were given.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from sopslab.course import hints
from sopslab.files.privatefile import NEW, write_private
from sopslab.gitserver.plainfiles import read_plain
from sopslab.gitserver.standing import Seat, Standing, standing
from sopslab.model.hints import RECORD, parse_given, render_given
from sopslab.model.mark import MARK, render_mark

SECONDS = 5.0
"""The longest time that a repository is looked at, whatever it contains."""
ASK = hints.HELP
HINT = "git push origin HEAD:hint"
_DONE = "You have done all of the chapter's steps."


def help_wanted(seat: Seat, pushed: str) -> list[str]:
    """Mark a learner as one who asks for help, or remove the mark; return the answer's lines.

    + pushed: the commit that the learner pushed to ask
    """
    try:
        marked = toggle(seat.repository, time.time())
    except OSError:
        return ["This could not be noted down: ask your instructor in person."]
    if not marked:
        return ["You do not ask for help any more, and your instructor sees that."]
    answer = [
        "Your instructor sees now that you ask for help. The same push takes that back:",
        f"  {ASK}",
    ]
    found = _look(seat, pushed)
    if found is None:
        return answer
    if found.step is None:
        return [*answer, _DONE]
    fix = [f"  {found.fix}"] if found.fix else []
    return [
        *answer,
        f"What the doctor would ask first: {found.found}",
        *fix,
        "For a hint, one at a time:",
        f"  {HINT}",
    ]


def hint_wanted(seat: Seat, pushed: str) -> list[str]:
    """Return the next hint for the step that a learner is at, and count it.

    + pushed: the commit that the learner pushed to ask
    """
    found = _look(seat, pushed)
    if found is None:
        return ["It took too long to see which step you are at: ask your instructor.", f"  {ASK}"]
    if found.step is None:
        return [f"{_DONE} There is no hint to give."]
    file = seat.repository / RECORD
    given = parse_given(read_plain(file))
    before = given.of(found.step)
    try:
        told = hints.following(found.step, before, seat.chapter, at_seat=True)
    except KeyError:
        return ["There is no hint for where you are: ask your instructor.", f"  {ASK}"]
    if before < hints.LEVELS:
        # A hint that could not be counted is given again; that is better than none.
        with suppress(OSError):
            record = render_given(given.with_another(found.step, time.time()))
            write_private(file, record.encode())
    lines = hints.in_lines(found.step, before, told)
    more = ["The same push gives the next one."] if before + 1 < hints.LEVELS else []
    return [*lines, *more]


def toggle(repository: Path, now: float) -> bool:
    """Set the mark in a repository, or remove the mark if there is one; return whether it is set.

    If two pushes set the mark at the same moment, there is one mark. Raises OSError.
    """
    mark = repository / MARK
    with suppress(FileNotFoundError):
        mark.unlink()
        return False
    descriptor, new = tempfile.mkstemp(dir=repository, prefix=NEW)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(render_mark(now))
        # Unlike a rename, a link does not replace a mark that is there already.
        with suppress(FileExistsError):
            os.link(new, mark)
    finally:
        Path(new).unlink()
    return True


def _look(seat: Seat, pushed: str) -> Standing | None:
    """Return where a learner stands, None if that fails or takes too long."""
    try:
        with _at_most(SECONDS):
            return standing(seat, pushed)
    except Exception:
        # The error comes from what was pushed, and a traceback could show that.
        return None


class _Late(Exception):
    pass


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise _Late in the block if it takes longer than *seconds*."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
