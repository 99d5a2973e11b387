"""When the class is looked at anew, and when what was seen last is good enough."""

from __future__ import annotations

import pytest

from sopslab.errors import LabError
from sopslab.lab.board import Found
from sopslab.web.sparing import OLD_S, SETTLING_S, Sparing


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
        """Return at which of these times a question was a look."""
        found = []
        for now in times:
            before, self.now = self.looks, now
            self.ask()
            found += [now] * (self.looks - before)
        return found


def test_who_asks_first_gets_a_look_and_then_the_same_answer_until_it_is_old() -> None:
    lesson = Lesson()
    lesson.looked_at(0, SETTLING_S - 1)
    quiet = SETTLING_S + OLD_S - 1.5

    assert lesson.looked_at(SETTLING_S, SETTLING_S + 2, quiet) == []
    assert lesson.looked_at(SETTLING_S + OLD_S) == [SETTLING_S + OLD_S]


def test_after_a_push_every_question_is_a_look_until_flux_has_had_its_time() -> None:
    lesson = Lesson()
    lesson.looked_at(0, 100)
    lesson.mark = "b"

    assert lesson.looked_at(102, 104, 110) == [102, 104, 110]
    assert lesson.looked_at(102 + SETTLING_S, 102 + SETTLING_S + 2) == []


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
