"""`sopslab break` and `sopslab fix`: what they ask, and what they refuse before any change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.settings import Settings
from sopslab.course.faults import BY_ID, FAULTS
from sopslab.errors import Exit
from sopslab.run.runner import Result as RunResult
from tests.commands import enrol

Data = dict[str, Any]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Data]]:
    """Record the file and the data of each deploy instead of running it."""
    seen: list[tuple[str, Data]] = []

    def deploy(file: str, _settings: Settings, data: Data, *_more: Any) -> RunResult:
        seen.append((file, data))
        return RunResult(Exit.OK, 3.0, [], [], Path("log"))

    monkeypatch.setattr("sopslab.cli.verbs.break_.deploy_or_exit", deploy)
    monkeypatch.setattr("sopslab.cli.verbs.fix.deploy_or_exit", deploy)
    return seen


def sopslab(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_list_says_what_each_fault_teaches(settings: Settings) -> None:
    done = sopslab("break", "--list")
    assert done.exit_code == 0
    for fault in FAULTS:
        assert fault.id in done.stdout and fault.title in done.stdout
        assert fault.teaches in done.stdout
    assert "drifted-lockdown-flag (not in a class)" in done.stdout
    told = json.loads(sopslab("break", "--list", "--json").stdout)
    assert [one["id"] for one in told] == list(BY_ID)


@pytest.mark.usefixtures("settings")
def test_a_scenario_is_injected_by_its_name(runs: list[tuple[str, Data]]) -> None:
    done = sopslab("break", "wrong-key")
    assert done.exit_code == 0, done.output
    assert runs == [("deploys/break.py", {"learners": '["learner"]', "faults": '["wrong-key"]'})]
    assert "`sopslab fix learner` undoes it" in done.output


def test_an_exam_is_asked_for_by_its_seed_and_told_by_nothing_else(
    settings: Settings, runs: list[tuple[str, Data]]
) -> None:
    enrol(settings, "ada", "bob")
    done = sopslab("break", "--random", "--seed", "7", "--count", "2", "ada")
    assert done.exit_code == 0, done.output
    assert runs == [("deploys/break.py", {"learners": '["ada"]', "exam": 7, "exam_faults": 2})]
    assert "--seed 7" in done.output
    assert not any(fault in done.output for fault in BY_ID)


@pytest.mark.usefixtures("settings")
def test_without_a_seed_one_is_drawn_and_told(runs: list[tuple[str, Data]]) -> None:
    done = sopslab("break", "--random")
    ((_, data),) = runs
    assert f"--seed {data['exam']}" in done.output
    assert data["exam_faults"] == 1


@pytest.mark.parametrize(
    ("enrolled", "arguments", "sentences"),
    [
        ((), ("no-key",), ["faults.0: 'no-key' is refused: there is no such fault"]),
        ((), (), ["name a scenario (`sopslab break --list` lists them), or --random"]),
        (
            (),
            ("--seed", "1"),
            [
                "name a scenario (`sopslab break --list` lists them), or --random",
                "--seed and --count go with --random",
            ],
        ),
        ((), ("wrong-key", "--count", "2"), ["--seed and --count go with --random"]),
        ((), ("--random", "--json"), ["--json with --random needs a --seed"]),
        ((), ("wrong-key", "joe"), ["there is no environment of joe: known are learner"]),
        (("ada", "bob"), ("wrong-key",), ["name the learners: ada, bob, learner"]),
        (("ada", "bob"), ("wrong-key", "ada", "bob"), ["one at a time: ada or bob"]),
        (
            ("ada",),
            ("drifted-lockdown-flag", "ada"),
            ["drifted-lockdown-flag would reach the whole class; for ada there are missing-key"],
        ),
        (
            ("ada",),
            ("git-credential-revoked", "learner"),
            ["git-credential-revoked would reach the whole class"],
        ),
    ],
)
def test_what_cannot_be_is_refused_with_all_problems_at_once(
    settings: Settings,
    runs: list[tuple[str, Data]],
    enrolled: tuple[str, ...],
    arguments: tuple[str, ...],
    sentences: list[str],
) -> None:
    if enrolled:
        enrol(settings, *enrolled)
    done = sopslab("break", *arguments)
    assert done.exit_code == Exit.INPUT, done.output
    told = (json.loads(done.stdout)["problems"] if "--json" in arguments
            else done.stderr.splitlines())  # fmt: skip
    assert len(told) == len(sentences)
    for line, sentence in zip(told, sentences, strict=True):
        assert line.startswith(sentence)
    assert runs == []


@pytest.mark.parametrize(
    ("arguments", "learners"), [((), []), (("bob", "ada", "bob"), ["bob", "ada"])]
)
def test_everybody_is_fixed_or_those_who_are_named(
    settings: Settings,
    runs: list[tuple[str, Data]],
    arguments: tuple[str, ...],
    learners: list[str],
) -> None:
    enrol(settings, "ada", "bob")
    done = sopslab("fix", *arguments)
    assert done.exit_code == 0, done.output
    assert runs == [("deploys/fix.py", {"learners": json.dumps(learners)})]


def test_who_is_not_there_is_not_fixed(settings: Settings, runs: list[tuple[str, Data]]) -> None:
    enrol(settings, "ada")
    done = sopslab("fix", "eve", "joe")
    assert (done.exit_code, len(done.stderr.splitlines())) == (Exit.INPUT, 2)
    assert runs == []
