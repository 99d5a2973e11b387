"""Parts of pages: the names of learners, and curves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.checks.board.history import Curve
from sopslab.web.chart import LEARNER, STEP, Frame, drawn
from sopslab.web.names import initials, labels
from tests.unit.web.web_material import seat

FRAME = Frame(100, 12, 10)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Ada Lovelace", "AL"),
        ("ada", "A"),
        ("Jean-Luc Picard", "JLP"),
        ("Anna Maria Luise von Bayern", "AMB"),
        ("李 雷", "李雷"),
        ("Ólafur Ragnar", "ÓR"),
        ("'; DROP", "D"),
        ("=1+1", ""),
        ("", ""),
    ],
)
def test_initials_are_the_first_letters_of_words(name: str, short: str) -> None:
    assert initials(name) == short


def test_who_has_no_initials_of_their_own_is_called_by_the_id() -> None:
    seats = [
        seat("ada", "Ada Lovelace"),
        seat("al", "Alan Lee"),
        seat("bob", "Bob Kahn"),
        seat("x-7", "7"),
    ]
    assert labels(seats) == {"ada": "ada", "al": "al", "bob": "BK", "x-7": "x-7"}


def test_a_curve_is_a_line_of_steps() -> None:
    curve = Curve("key", [(0.0, 0), (30.0, 5), (60.0, 10)])

    assert drawn(curve, FRAME, 60.0, 10) == (
        '<svg viewBox="0 0 100 12" aria-hidden="true"><path d="M0 11H50V6H100V1H100"/></svg>'
    )


def test_what_changes_back_within_a_column_is_not_drawn() -> None:
    curve = Curve("key", [(0.0, 3), (30.0, 5), (30.1, 3)])

    assert 'd="M0 8H100"' in drawn(curve, FRAME, 60.0, 10)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), min_size=1, max_size=500),
    st.floats(0, 1e5),
    st.integers(0, 500),
)
def test_no_curve_leaves_its_frame_or_grows(
    points: list[tuple[float, int]], seconds: float, most: int
) -> None:
    for frame in (STEP, LEARNER):
        svg = drawn(Curve("key", sorted(points)), frame, seconds, most)
        path = svg.partition(' d="M')[2].partition('"')[0]
        numbers = [int(one) for one in path.replace("H", " ").replace("V", " ").split()]

        assert max(numbers) <= frame.width
        assert min(numbers) >= 0
        assert len(numbers) <= 2 * frame.columns + 5
