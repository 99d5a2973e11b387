"""The order of learners on the board, and the counts above it."""

from __future__ import annotations

import random
from dataclasses import replace

from sopslab.checks.board.history import latest
from sopslab.checks.board.judge import judge
from sopslab.checks.board.order import Counts, by_need, counts
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import Row
from sopslab.model.progress import Change
from tests.unit.board.board_material import ADA, DONE, KUSTOMIZATION, fresh, suspended, with_facets

STUCK = with_facets(kustomizations=[suspended(KUSTOMIZATION)])


def row(name: str, seen: Seen, asked: float | None = None) -> Row:
    """Return the row of a learner with this id."""
    return replace(judge(ADA.model_copy(update={"id": name}), seen), asked=asked)


def test_who_needs_somebody_most_comes_first_and_of_each_kind_who_waits_longest() -> None:
    wanted = [
        row("asks-first", DONE, asked=10.0),
        row("asks-later", STUCK, asked=20.0),
        row("stuck-long", STUCK),
        row("stuck-short", STUCK),
        row("stuck-just-now", STUCK),
        row("works-long", fresh()),
        row("works-short", fresh()),
        row("done", DONE),
    ]
    history = latest(
        [
            Change(90.0, "stuck-short", "applied", "no", stuck=True),
            Change(30.0, "stuck-long", "applied", "no", stuck=True),
            Change(5.0, "works-long", "key", "yes"),
            Change(50.0, "works-short", "key", "yes"),
            Change(1.0, "done", "secret", "yes"),
        ]
    )
    rows = list(wanted)
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert [one.seat.id for one in by_need(rows, history)] == [one.seat.id for one in wanted]


def test_each_is_counted_once_and_who_asks_is_counted_beside() -> None:
    rows = [row("a", DONE), row("b", STUCK, 1.0), row("c", STUCK), row("d", fresh(), 2.0)]

    assert counts(rows) == Counts(done=1, working=1, stuck=2, asking=2)
    assert counts([]) == Counts(0, 0, 0, 0)
