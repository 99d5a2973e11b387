"""Count the function calls of some work, because its time would say more about the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


def calls_during(action: Callable[[], object]) -> int:
    """Return how many functions, in Python and C, are called while `action` runs."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        if event in {"call", "c_call"}:
            calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
