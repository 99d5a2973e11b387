"""The rows that the Git server reads: one for each learner, written only when it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import STEPS
from sopslab.config.settings import Settings
from sopslab.lab.act.rows import publish, withdraw
from sopslab.web.records import LabRecords
from tests.unit.board.board_material import ADA, DONE, KUSTOMIZATION, fresh, suspended, with_facets

STUCK = judge(ADA, with_facets(kustomizations=[suspended(KUSTOMIZATION)]))
BOB = judge(ADA.model_copy(update={"id": "bob"}), fresh())


@pytest.fixture
def served(settings: Settings) -> Settings:
    """A lab that has a Git server."""
    Path(settings.git_dir).mkdir(parents=True)
    return settings


def file(settings: Settings, seat: str) -> Path:
    """Return the path of a learner's row."""
    return Path(settings.git_dir, "rows", f"{seat}.json")


def told(settings: Settings, seat: str) -> dict[str, Any]:
    """Return the row that the server reads for a learner."""
    return dict(json.loads(file(settings, seat).read_bytes()))


def test_each_row_is_a_file_for_the_server_alone(served: Settings) -> None:
    publish(served, [STUCK, BOB])
    row = told(served, "ada")

    assert [step["id"] for step in row["steps"]] == list(STEPS)
    assert row["steps"][6] == {
        "id": "applied",
        "progress": "no",
        "found": STUCK.next,
        "fix": STUCK.fix,
        "stuck": True,
    }
    assert (row["next"], row["fix"], row["asked"]) == (STUCK.next, STUCK.fix, None)
    assert {path.name for path in file(served, "ada").parent.iterdir()} == {"ada.json", "bob.json"}
    assert file(served, "ada").stat().st_mode & 0o777 == 0o640
    assert file(served, "ada").parent.stat().st_mode & 0o7777 == 0o2750


def test_what_says_the_same_is_not_written(served: Settings) -> None:
    publish(served, [STUCK, BOB])
    before = {seat: file(served, seat).stat().st_ino for seat in ("ada", "bob")}
    publish(served, [replace(STUCK, asked=1_700_000_000), BOB])

    assert file(served, "bob").stat().st_ino == before["bob"]
    assert file(served, "ada").stat().st_ino != before["ada"]
    assert told(served, "ada")["asked"] == 1_700_000_000
    kept = file(served, "ada").stat().st_ino
    publish(served, [replace(STUCK, asked=1_700_000_000), BOB])
    assert file(served, "ada").stat().st_ino == kept


def test_a_time_is_that_of_the_last_change(
    served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopslab.lab.act.rows.time.time", lambda: 100.0)
    publish(served, [STUCK])
    monkeypatch.setattr("sopslab.lab.act.rows.time.time", lambda: 200.0)
    publish(served, [STUCK])
    assert told(served, "ada")["seen"] == 100.0
    publish(served, [judge(ADA, DONE)])
    assert told(served, "ada")["seen"] == 200.0


def test_who_left_has_no_row(served: Settings) -> None:
    publish(served, [STUCK, BOB])
    publish(served, [BOB])

    assert not file(served, "ada").exists()
    assert file(served, "bob").exists()


def test_records_write_what_is_new_and_what_is_gone_and_read_nothing_else(
    served: Settings,
) -> None:
    records = LabRecords(served)
    records.publish([STUCK, BOB])
    # A look at this file would find it damaged, and write it anew.
    file(served, "bob").write_text("{")
    records.publish([judge(ADA, DONE), BOB])
    assert told(served, "ada")["next"] == ""
    assert file(served, "bob").read_text() == "{"

    file(served, "bob").unlink()
    records.publish([STUCK, BOB])
    assert told(served, "bob")["next"] == BOB.next


def test_a_damaged_row_is_written_anew(served: Settings) -> None:
    publish(served, [BOB])
    file(served, "bob").write_text("{")
    publish(served, [BOB])

    assert told(served, "bob")["next"] == BOB.next


def test_when_nobody_looks_there_are_no_rows(served: Settings) -> None:
    withdraw(served)
    publish(served, [STUCK, BOB])
    withdraw(served)

    assert list(file(served, "ada").parent.iterdir()) == []


def test_without_a_git_server_of_the_lab_nothing_is_told(settings: Settings) -> None:
    publish(settings, [BOB])

    assert not Path(settings.git_dir).exists()


def test_a_git_server_that_is_not_the_labs_is_told_nothing(lab: Callable[..., Settings]) -> None:
    settings = lab(git_url="https://git.example", git_username="ada", git_password="x")
    credentials = Path(settings.git_dir, "credentials")
    credentials.mkdir(parents=True)
    publish(settings, [BOB])

    assert list(Path(settings.git_dir).iterdir()) == [credentials]
