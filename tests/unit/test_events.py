"""What a run says about itself is short, even for a class."""

from __future__ import annotations

import pytest

from sopslab.files.events import named


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, ""),
        (1, "a0"),
        (6, "a0, a1, a2, a3, a4, a5"),
        (7, "a0, a1, a2, a3, a4, a5 and 1 more"),
        (100, "a0, a1, a2, a3, a4, a5 and 94 more"),
    ],
)
def test_of_many_names_it_is_said_how_many_more_there_are(count: int, said: str) -> None:
    assert named([f"a{number}" for number in range(count)]) == said
