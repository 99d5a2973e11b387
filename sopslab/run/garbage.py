"""When Python looks for garbage in a process that soon ends."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Have Python look for cycles of objects only once there are many new objects.

    While modules are imported, nearly all new objects stay, and Python would look through them a
    hundred times. Objects that no cycle holds are freed at once all the same.
    """
    gc.set_threshold(50_000, 20, 50)
