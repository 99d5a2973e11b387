"""`sopslab reset`: whom it concerns, what it asks first, and how it announces what it would do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.run.runner import Result as RunResult
from tests.commands import enrol

Data = dict[str, Any]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Data]]:
    """Record the file and the data of each deploy instead of running it."""
    seen: list[tuple[str, Data]] = []

    def deploy(file: str, _settings: Settings, data: Data, *_more: Any) -> RunResult:
        seen.append((file, {**data, "learners": json.loads(data["learners"])}))
        return RunResult(Exit.OK, 3.0, [], [], Path("log"))

    def plan(
        _settings: Settings, environments: list[Environment], _checkpoint: str
    ) -> dict[str, list[str]]:
        told = {"ada": ["deleted: ConfigMap/a", "b: c"]}
        return {one.id: told.get(one.id, []) for one in environments}

    monkeypatch.setattr("sopslab.cli.verbs.reset.deploy_or_exit", deploy)
    monkeypatch.setattr("sopslab.lab.reset.plan_reset", plan)
    return seen


def reset(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["reset", *arguments], input=stdin)


@pytest.mark.parametrize(
    ("enrolled", "asked", "meant"),
    [
        ((), (), ["learner"]),
        ((), ("learner",), ["learner"]),
        ((), ("--all", "--yes"), ["learner"]),
        (("ada", "bob"), ("bob", "ada", "bob"), ["bob", "ada"]),
        (("ada", "bob"), ("--all", "--yes"), ["ada", "bob"]),
        (("ada", "bob"), ("learner",), ["learner"]),
        (("007", "true"), ("007", "true"), ["007", "true"]),
    ],
)
def test_who_is_meant_is_put_back(
    settings: Settings,
    runs: list[tuple[str, Data]],
    enrolled: tuple[str, ...],
    asked: tuple[str, ...],
    meant: list[str],
) -> None:
    if enrolled:
        enrol(settings, *enrolled)
    done = reset(*asked, "--to", "wired")
    assert done.exit_code == 0, done.output
    assert runs == [("deploys/reset.py", {"learners": meant, "checkpoint": "wired"})]


@pytest.mark.parametrize(
    ("enrolled", "asked", "sentences"),
    [
        ((), ("ada",), ["there is no environment of ada: known are learner"]),
        (
            ("ada",),
            ("eve", "ada", "joe"),
            [
                "there is no environment of eve: known are ada, learner",
                "there is no environment of joe: known are ada, learner",
            ],
        ),
        (("ada", "bob"), (), ["name the learners to reset, or --all: ada, bob"]),
        (("ada",), ("ada", "--all"), ["--all goes without IDs"]),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_who_is_not_there_is_refused_with_all_problems_at_once(
    settings: Settings,
    runs: list[tuple[str, Data]],
    enrolled: tuple[str, ...],
    asked: tuple[str, ...],
    sentences: list[str],
    more: tuple[str, ...],
) -> None:
    if enrolled:
        enrol(settings, *enrolled)
    done = reset(*asked, *more)
    assert done.exit_code == Exit.INPUT
    assert done.stderr.splitlines() == sentences
    as_json = reset("--json", *asked, *more)
    assert as_json.exit_code == Exit.INPUT
    assert json.loads(as_json.stdout)["problems"] == sentences
    assert runs == []


def test_a_checkpoint_that_is_none_is_refused(settings: Settings, runs: list[Any]) -> None:
    done = reset("--to", "middle")
    assert done.exit_code == 2
    assert "'start', 'encrypted', 'wired', 'done'" in done.stderr
    assert runs == []


def test_all_are_put_back_only_after_a_yes(settings: Settings, runs: list[Any]) -> None:
    enrol(settings, "ada", "bob")
    done = reset("--all", stdin="n\n")
    assert done.exit_code == 1
    assert "puts 2 environments back to the checkpoint start" in done.output
    assert runs == []
    assert reset("--all", stdin="y\n").exit_code == 0
    assert len(runs) == 1


def test_a_dry_run_tells_of_each_what_would_be_done_and_asks_nothing(
    settings: Settings, runs: list[tuple[str, Data]]
) -> None:
    enrol(settings, "ada", "bob")
    done = reset("--all", "--dry-run")
    assert done.stdout == "ada\n  deleted: ConfigMap/a\n  b: c\nbob\n  nothing to do\n"
    as_json = json.loads(reset("--all", "--dry-run", "--json").stdout)
    assert as_json == {
        "ok": True,
        "changed": 0,
        "plan": {"ada": ["deleted: ConfigMap/a", "b: c"], "bob": []},
    }
    assert runs == []
