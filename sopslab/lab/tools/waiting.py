"""Bounded waiting, by a clock that cannot be set."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A moment in the future, by a clock that counts on when the date is changed."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """How many seconds are left, never less than zero."""
        return max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the moment has passed."""
        return self.left == 0.0


def wait_until(reached: Callable[[], bool], seconds: float, pause: float = 0.3) -> bool:
    """Return whether something becomes true within `seconds`. It is asked again after each `pause`,
    which is in seconds."""
    deadline = Deadline(seconds)
    while not reached():
        if deadline.is_over:
            return False
        time.sleep(pause)
    return True
