"""What learners are called where others see the screen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

_MOST = 3  # letters


def initials(name: str) -> str:
    """Return the first letters of a name's words, empty where no word begins with one."""
    letters = [word[0].upper() for word in name.replace("-", " ").split() if word[0].isalpha()]
    return "".join([*letters[: _MOST - 1], *letters[-1:]] if len(letters) > _MOST else letters)


def labels(seats: Sequence[Seat]) -> dict[str, str]:
    """Return what each learner is called on a wall, by id: the initials, or the id if others of the
    class have the same initials, or there are none."""
    found = {seat.id: initials(seat.name) for seat in seats}
    often = Counter(found.values())
    return {id: short if short and often[short] == 1 else id for id, short in found.items()}
