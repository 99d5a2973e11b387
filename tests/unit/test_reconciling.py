"""How it is awaited that Flux does what the repositories say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from sopslab.checks.delivery import Ask
from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.lab.act import delivery
from tests.repositories import learner


def test_flux_is_asked_and_given_a_moment_before_the_cluster_is_looked_at_again(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = at_seat(learner("ada"))
    happened: list[Any] = []

    def look(*_: object) -> dict[str, list[object]]:
        happened.append("look")
        return {"ada": []}

    monkeypatch.setattr(delivery, "wanted", lambda *_: {})
    monkeypatch.setattr(delivery, "look", look)
    monkeypatch.setattr(delivery, "ask", lambda _, asked: happened.append(dict(asked)))
    monkeypatch.setattr(time, "sleep", lambda _: happened.append("pause"))
    delivery.reconcile(lab().for_machine, [ada], [])
    assert happened == ["look", {ada: [Ask.OWN]}, "pause", "look"]
