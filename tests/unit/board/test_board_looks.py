"""Successive looks at a class: a judgement is kept while nothing that it rests on changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from sopslab.checks.board.judge import judge
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import Row
from sopslab.checks.snapshot import Access
from sopslab.config.settings import Seat, Settings
from sopslab.lab import board
from sopslab.lab.observe.observer import Observer
from tests.unit.board.board_material import ADA, DONE, with_facets

BOB = ADA.model_copy(update={"id": "bob"})


class Made(Observer):
    """An observer that sees what the test sets."""

    def __init__(self) -> None:
        self.seen = [replace(DONE), replace(DONE)]

    @override
    def seats(self, environments: object) -> list[Seen]:
        """Return the seats that the test sets."""
        return [replace(one) for one in self.seen]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets the id of every seat that is judged."""
    found: list[str] = []

    def noted(seat: Seat, seen: Seen) -> Row:
        found.append(seat.id)
        return judge(seat, seen)

    monkeypatch.setattr(board, "judge", noted)
    return found


def _enrol(settings: Settings, *seats: Seat) -> None:
    path = Path(settings.class_dir, "roster.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([seat.model_dump() for seat in seats]))


def test_only_what_is_seen_otherwise_is_judged_again(settings: Settings, judged: list[str]) -> None:
    _enrol(settings, ADA, BOB)
    observer = Made()
    look = board.looks(settings, observer, lambda: lambda: [])
    first = look().rows
    assert judged == ["ada", "bob"] and look().rows == first
    assert judged == ["ada", "bob"]

    observer.seen[1] = with_facets(access=Access(kubeconfig=True, password=False))
    ada, bob = look().rows
    assert judged == ["ada", "bob", "bob"]
    assert ada == first[0] and not bob.done

    # A learner with another name gets another row.
    _enrol(settings, ADA.model_copy(update={"name": "Augusta"}), BOB)
    assert look().rows[0].seat.name == "Augusta"
