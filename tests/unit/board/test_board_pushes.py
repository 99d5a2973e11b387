"""How the board notices that something has been pushed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from sopslab.model.mark import MARK
from sopslab.web.sparing import pushes
from tests.unit.board.class_material import Class

# Old enough not to be taken for a change under way.
_AN_HOUR_NS = 3600 * 10**9


def _grown_old(made: Class) -> None:
    for seat in made.seats:
        for folder, _, files in os.walk(made.bare(seat.id)):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                then = path.stat().st_mtime_ns - _AN_HOUR_NS
                os.utime(path, ns=(then, then))


def test_a_push_and_a_call_for_help_show_and_nothing_else_does(
    classroom: Callable[..., Class],
) -> None:
    made = classroom(["ada", "bob"])
    _grown_old(made)
    before = pushes(made.settings)
    assert before is not None and pushes(made.settings) == before

    (made.bare("bob") / MARK).write_text("{}")
    asked = pushes(made.settings)
    assert asked not in (None, before)

    made.push("ada", {"notes.txt": "x"})
    _grown_old(made)
    assert pushes(made.settings) not in (None, before, asked)
