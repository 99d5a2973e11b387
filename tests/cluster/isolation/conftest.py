"""The hostile learner, and those who work beside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.classroom import Classroom
from tests.cluster.isolation.hostile import Hostile, as_before


@pytest.fixture
def ada(classroom: Classroom, tmp_path: Path) -> Iterator[Hostile]:
    """The hostile learner, whose environment is put back."""
    yield from _learner(classroom, "ada", tmp_path)


@pytest.fixture
def bob(classroom: Classroom, tmp_path: Path) -> Iterator[Hostile]:
    """The learner beside ada, who wants to work."""
    yield from _learner(classroom, "bob", tmp_path)


@pytest.fixture
def eve(classroom: Classroom, tmp_path: Path) -> Iterator[Hostile]:
    """A third learner."""
    yield from _learner(classroom, "eve", tmp_path)


def _learner(classroom: Classroom, seat: str, folder: Path) -> Iterator[Hostile]:
    learner = Hostile(classroom, seat, folder / seat)
    learner.folder.mkdir()
    with as_before(learner):
        yield learner
