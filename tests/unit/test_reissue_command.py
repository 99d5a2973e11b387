"""`sopslab reissue`: whom it refuses, in one sentence, before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.settings import Settings
from tests.commands import enrol

Reissue = Callable[..., Result]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Record each deploy instead of running it."""
    seen: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        "sopslab.cli.verbs.reissue.deploy_or_exit", lambda *arguments: seen.append(arguments)
    )
    return seen


def reissue(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["reissue", *arguments])


def test_without_an_id_it_says_how_it_is_used(settings: Settings) -> None:
    done = reissue()
    assert done.exit_code == 2
    assert "Missing argument" in done.stderr


@pytest.mark.parametrize(
    ("enrolled", "asked", "sentence"),
    [
        ((), ("ada",), "there is no seat ada: the lab has no class"),
        (("ada", "bob"), ("bob", "eve"), "there is no seat eve: the class has ada, bob"),
        (("ada",), ("joe", "eve"), "there is no seat joe, eve: the class has ada"),
        (("ada",), ("A b",), "learners.0: 'A b' is refused"),
    ],
)
def test_who_has_no_seat_is_refused_before_anything_is_touched(
    settings: Settings,
    runs: list[tuple[Any, ...]],
    enrolled: tuple[str, ...],
    asked: tuple[str, ...],
    sentence: str,
) -> None:
    if enrolled:
        enrol(settings, *enrolled)
    done = reissue(*asked)
    assert done.exit_code == 2
    assert done.stderr.startswith(sentence)
    assert len(done.stderr.splitlines()) == 1
    as_json = reissue("--json", *asked)
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["problems"][0].startswith(sentence)
    assert runs == []


def test_each_id_is_handed_on_once_and_as_text(
    settings: Settings, runs: list[tuple[Any, ...]]
) -> None:
    enrol(settings, "ada", "007", "no")
    done = reissue("007", "ada", "no", "007")
    assert done.exit_code == 0
    ((deploy, given, data, *_),) = runs
    assert (deploy, given.learners) == ("deploys/reissue.py", ("007", "ada", "no"))
    # pyinfra reads the value as JSON, so that text stays text.
    assert json.loads(data["learners"]) == ["007", "ada", "no"]
    assert "sopslab cards 007 ada no" in done.stdout
