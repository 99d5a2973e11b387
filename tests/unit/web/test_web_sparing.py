"""When the class is looked at again, and when the last look is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sopslab.errors import LabError
from sopslab.lab.board import Found
from sopslab.lab.parts import Part
from sopslab.web.sparing import OLD_S, PARTS_S, Sparing, SparingParts


class Lesson:
    """A class that is looked at, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now, self.mark, self.looks = 0.0, "a", 0
        self.trouble: LabError | None = None
        self.ask = Sparing(self._look, lambda: self.mark or None, lambda: self.now)

    def _look(self) -> Found:
        self.looks += 1
        if self.trouble is not None:
            raise self.trouble
        return Found([], [])

    def looked_at(self, *times: float) -> list[float]:
        """Return those of these times at which a question led to a look."""
        found = []
        for now in times:
            before, self.now = self.looks, now
            self.ask()
            found += [now] * (self.looks - before)
        return found


def test_who_asks_first_gets_a_look_and_then_the_same_answer_until_it_is_old() -> None:
    lesson = Lesson()

    assert lesson.looked_at(0, 2, OLD_S - 0.5) == [0]
    assert lesson.looked_at(OLD_S) == [OLD_S]


def test_what_is_new_is_looked_at_once() -> None:
    lesson = Lesson()
    lesson.looked_at(0, 100)
    lesson.mark = "b"

    assert lesson.looked_at(102, 104, 106) == [102]
    lesson.mark = "c"
    assert lesson.looked_at(108, 110) == [108]


def test_where_a_push_cannot_be_told_every_question_is_a_look() -> None:
    lesson = Lesson()
    lesson.mark = ""

    assert lesson.looked_at(0, 100, 102, 104) == [0, 100, 102, 104]


def test_after_a_look_that_failed_the_next_question_is_a_look() -> None:
    lesson = Lesson()
    lesson.looked_at(0, 50)
    lesson.trouble = LabError("the roster is damaged")
    for now in (100.0, 102.0):
        lesson.now = now
        with pytest.raises(LabError):
            lesson.ask()
    lesson.trouble = None

    assert lesson.looked_at(104) == [104]


@pytest.mark.parametrize(("up", "lasts"), [(True, PARTS_S), (False, OLD_S)])
def test_parts_that_are_up_are_asked_for_less_often(up: bool, lasts: float) -> None:
    clock = [0.0]
    states = [f"state {number}" for number in range(9)]

    def look() -> Callable[[], Sequence[Part]]:
        state = states.pop(0)
        return lambda: [Part("node", up, state, "here")]

    parts = SparingParts(look, lambda: clock[0])
    seen = []
    for clock[0] in (0.0, lasts - 1, lasts, lasts + 1):
        (part,) = parts()()
        seen.append(part.state)

    assert seen == ["state 0", "state 0", "state 1", "state 1"]
