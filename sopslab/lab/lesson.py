"""What there is of a class to look back on: the record of the board, Git, and one more look."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from sopslab.checks.board.lesson import Lesson, Score, looked_back
from sopslab.config.environment import at_seat
from sopslab.course.quiz import QUIZ_FILE, answers_in, load_quiz, right
from sopslab.errors import LabError
from sopslab.lab.board import class_rows
from sopslab.lab.observe.observer import Observer
from sopslab.lab.observe.progress import recorded_progress
from sopslab.lab.observe.work import look_at_work
from sopslab.model.results import Undecided
from sopslab.model.work import Work

if TYPE_CHECKING:
    from sopslab.config.settings import Seat, Settings


def look_back(settings: Settings, executor: Executor) -> Lesson:
    """Return what the class did. Raises LabError where nobody has a seat, and where the roster or
    the quiz cannot be read."""
    questions = load_quiz(QUIZ_FILE)
    rows = class_rows(settings, Observer(settings, executor))
    if not rows:
        raise LabError("nobody has a seat here: there is no class to report on")
    works = executor.map(lambda row: _work(settings, row.seat), rows)
    work = {row.seat.id: one for row, one in zip(rows, works, strict=True)}
    scores = {}
    for seat, one in work.items():
        if one.answers is not None:
            answers = answers_in(one.answers)
            asked = sum(number in answers for number in range(1, len(questions) + 1))
            scores[seat] = Score(asked, right(questions, answers))
    return looked_back(rows, recorded_progress(settings), work, scores, time.time())


def _work(settings: Settings, seat: Seat) -> Work:
    """Return what a learner has pushed; nothing where that cannot be seen, which the row says."""
    try:
        return look_at_work(settings, at_seat(seat))
    except Undecided:
        return Work()
