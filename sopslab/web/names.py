"""The names of learners for a screen that others see. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

_MOST = 3  # letters


def initials(name: str) -> str:
    """Return the first letters of the words of a name, "" if no word begins with a letter."""
    letters = [word[0].upper() for word in name.replace("-", " ").split() if word[0].isalpha()]
    return "".join([*letters[: _MOST - 1], *letters[-1:]] if len(letters) > _MOST else letters)


def labels(seats: Sequence[Seat]) -> dict[str, str]:
    """Return the label of each learner on a wall, by id: the initials, or the id if a name has no
    initials or somebody else in the class has the same."""
    found = {seat.id: initials(seat.name) for seat in seats}
    often = Counter(found.values())
    return {id: short if short and often[short] == 1 else id for id, short in found.items()}
