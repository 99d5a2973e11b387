"""The observer behind all viewers: a thread that looks, records what changed, and tells the hub."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from sopslab.checks.board import history
from sopslab.errors import LabError
from sopslab.lab.board import Found
from sopslab.model.results import Undecided
from sopslab.web.records import Records
from sopslab.web.state import State

EVERY_S = 2.0
"""The time between the beginnings of two looks while somebody watches."""

_UNWATCHED_S = 10.0  # the same without viewers, because the history goes on
_ASKED_S = 15.0  # without JavaScript, a browser asks for the page every five seconds
_PAUSE_S = 0.5  # the shortest time between the end of a look and the next one
_MINUTE_S = 60.0


class Watcher:
    """Looks at a class from `start` to `stop`. A look that fails does not end it."""

    def __init__(
        self, look: Callable[[], Found], records: Records, tell: Callable[[State], None]
    ) -> None:
        """
        + look: returns what is seen now; may raise LabError and Undecided
        + tell: is given each new state, in the watcher's own thread
        """
        self._look, self._records, self._tell = look, records, tell
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
        self._stopped, self._wake = threading.Event(), threading.Event()
        self._followed, self._asked = False, -_ASKED_S
        # The versions of every board differ, because a tab may still have one of another board.
        self._board, self._number = secrets.token_hex(4), 0
        self._opened = time.time()
        self.state = State(f"{self._board}-0", self._opened)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the look that is under way, and end. The learners' rows are removed."""
        self._stopped.set()
        self._wake.set()
        self._thread.join()

    def watched(self, by_somebody: bool) -> None:
        """Say whether somebody watches: the first viewer causes a look at once."""
        if by_somebody and not self._is_watched:
            self._wake.set()
        self._followed = by_somebody

    def asked(self) -> None:
        """Say that somebody has asked once, and may ask again soon."""
        if not self._is_watched:
            self._wake.set()
        self._asked = time.monotonic()

    @property
    def _is_watched(self) -> bool:
        return self._followed or time.monotonic() - self._asked < _ASKED_S

    def _run(self) -> None:
        self._read()
        while not self._stopped.is_set():
            began = time.monotonic()
            self._look_once()
            took = time.monotonic() - began
            every = EVERY_S if self._is_watched else _UNWATCHED_S
            self._wake.wait(max(every - took, _PAUSE_S))
            self._wake.clear()
        with suppress(OSError):
            self._records.withdraw()

    def _read(self) -> None:
        changes = self._records.recorded()
        begun = history.beginning(changes, self._opened)
        latest = history.latest(changes)
        self.state = replace(self.state, changes=changes, latest=latest, begun=begun)

    def _look_once(self) -> None:
        try:
            found = self._look()
        except (LabError, Undecided) as error:
            self._failed(str(error))
        except Exception as error:
            # Such an error is a bug of the lab, and must not end the board that people look at.
            self._failed(f"The look ended with {type(error).__name__}; `sopslab doctor` says more.")
        else:
            if not self._stopped.is_set():
                self._seen(found)

    def _failed(self, trouble: str) -> None:
        self._become(replace(self.state, trouble=trouble, now=time.time()))

    def _seen(self, found: Found) -> None:
        if self.state.found is not None and _seats(self.state.found) != _seats(found):
            # A new learner may have the id of one who has left.
            self._read()
        before, now = self.state, round(time.time(), 1)
        changes, latest, trouble = before.changes, before.latest, ""
        new = history.changed(latest, found.rows, now)
        if new:
            changes, latest = history.bounded([*changes, *new]), {**latest, **history.latest(new)}
        try:
            if new:
                self._records.append(new)
            if before.trouble or before.found is None or before.found.rows != found.rows:
                self._records.publish(found.rows)
        except OSError as error:
            trouble = f"What changes cannot be kept on this machine: {error.strerror}."
        self._become(
            replace(
                before,
                now=now,
                found=found,
                seen=now,
                trouble=trouble,
                changes=changes,
                latest=latest,
            )
        )

    def _become(self, state: State) -> None:
        before = self.state
        if _shown(before) != _shown(state):
            self._number += 1
            state = replace(state, version=f"{self._board}-{self._number}")
        self.state = state
        if state.version != before.version:
            self._tell(state)


def _seats(found: Found) -> set[str]:
    return {row.seat.id for row in found.rows}


def _shown(state: State) -> tuple[object, ...]:
    """Return what a page depends on. The time counts by the minute, because pages say how long ago
    something was."""
    minute = int(state.now // _MINUTE_S)
    return state.found, state.trouble, minute, len(state.changes)
