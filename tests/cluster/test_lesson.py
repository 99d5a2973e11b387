"""A look back on a real class: what learners did while the board was open is in the report."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sopslab.lab.observe.progress import recorded_progress
from tests.bench.board import board
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import wait_until


@pytest.fixture
def begun(classroom: Classroom) -> Iterator[Classroom]:
    """The class; afterwards ada is back on day one, and asks for nothing."""
    yield classroom
    classroom.lab.sopslab("helped", "--all")
    classroom.lab.sopslab("reset", "ada", "--json")


def test_a_report_says_who_did_what_and_nothing_that_is_secret(
    begun: Classroom, tmp_path: Path
) -> None:
    with board(begun):
        begun.lab.sopslab("reset", "ada", "--to", "done", "--json")
        clone = begun.clone("ada", tmp_path)
        begun.push(clone, "origin", "HEAD:main", "HEAD:help")
        wait_until(
            lambda: (
                {("ada", "secret", "yes"), ("ada", "help", "yes")}
                <= {
                    (one.seat, one.step, one.progress)
                    for one in recorded_progress(begun.lab.settings)
                }
            ),
            "the board has put on record that ada is done and asks for help",
        )
    folder = tmp_path / "report"
    begun.lab.sopslab("class", "report", "--output", str(folder))

    rows = {row["seat"]: row for row in csv.DictReader((folder / "class.csv").open(newline=""))}
    assert list(rows) == list(SEATS)
    assert {seat: row["done"] for seat, row in rows.items()} == {
        "ada": "yes", "bob": "no", "eve": "no",
    }  # fmt: skip
    assert (rows["ada"]["asked_for_help"], rows["bob"]["asked_for_help"]) == ("1", "0")
    assert int(rows["ada"]["commits"]) > 0 == int(rows["bob"]["commits"])
    assert rows["ada"]["secret_first_done"] and not rows["bob"]["secret_first_done"]
    for seat in SEATS:
        suites = ElementTree.parse(folder / f"{seat}.xml").getroot()
        assert (suites.get("failures") == "0") == (seat == "ada"), seat
    secrets = {
        (Path(begun.lab.settings.git_dir) / "credentials" / seat / "git-credentials").read_text()
        for seat in SEATS
    }
    passwords = {text.split(":")[2].partition("@")[0] for text in secrets}
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(password in file.read_text() for password in passwords), file.name
