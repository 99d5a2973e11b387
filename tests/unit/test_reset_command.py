"""`sopslab reset`: whom it concerns, what it asks first, and how it announces what it would do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.run.runner import Result as RunResult
from tests.commands import enrol
from tests.repositories import begin_repository, commit, git

Data = dict[str, Any]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Data]]:
    """Record the file and the data of each deploy instead of running it."""
    seen: list[tuple[str, Data]] = []

    def deploy(file: str, _settings: Settings, data: Data, *_more: Any) -> RunResult:
        seen.append((file, {**data, "learners": json.loads(data["learners"])}))
        return RunResult(Exit.OK, 3.0, [], [], Path("log"))

    monkeypatch.setattr("sopslab.cli.verbs.reset.deploy_or_exit", deploy)
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
    settings: Settings, runs: list[tuple[str, Data]], tmp_path: Path
) -> None:
    enrol(settings, "ada", "bob")
    bare = {name: Path(settings.git_dir, f"repositories/{name}/lab.git") for name in ("ada", "bob")}
    for name, repository in bare.items():
        begin_repository(repository, tmp_path / name)
        start = commit(tmp_path / name, "Begin the lab")
        git(repository, "update-ref", "refs/lab/start", start)
    mine = commit(tmp_path / "ada", "Mine")
    silent = "the cluster does not answer: `sopslab status` tells more"

    done = reset("--all", "--dry-run")

    assert re.sub(r"\d{8}T\d{6}Z", "TIME", done.stdout).splitlines() == [
        "ada",
        "  main goes to the checkpoint start",
        "  1 commit of main kept on the branch saved/TIME",
        f"  {silent}",
        "bob",
        f"  {silent}",
    ]
    told = json.loads(reset("--all", "--dry-run", "--json").stdout)
    assert (told["ok"], told["changed"], list(told["plan"])) == (True, 0, ["ada", "bob"])
    assert len(told["plan"]["ada"]) == 3 and told["plan"]["bob"] == [silent]
    assert runs == [] and git(bare["ada"], "rev-parse", "main") == mine
