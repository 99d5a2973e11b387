"""A learner asks for help and for hints by a push, on a real class, and the instructor sees it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.model.hints import RECORD
from sopslab.model.mark import MARK
from tests.cluster.classroom import Classroom
from tests.cluster.lab import run
from tests.texts import replaced


def _rows(classroom: Classroom) -> dict[str, dict[str, Any]]:
    """Return the row of each seat, as `status` tells it to the instructor."""
    done = classroom.lab.sopslab("status", "--json", check=False)
    return {row["seat"]: row for row in json.loads(done.stdout)["class"]}


@pytest.fixture
def asking(classroom: Classroom) -> Iterator[Classroom]:
    """The class; afterwards nobody asks for help."""
    yield classroom
    classroom.lab.sopslab("helped", "--all")


def test_a_push_to_help_shows_in_status_until_the_learner_was_helped(
    asking: Classroom, tmp_path: Path
) -> None:
    clone = asking.clone("ada", tmp_path)
    began = time.time()
    said = run(["git", "push", "origin", "HEAD:help"], cwd=clone).stderr

    assert "Your instructor sees now that you ask for help." in said
    assert "What the doctor would ask first: " in said
    rows = _rows(asking)
    assert began <= rows["ada"]["asked"] <= time.time()
    assert [seat for seat, row in rows.items() if row["asked"] is not None] == ["ada"]
    assert "ada: asked for help " in asking.lab.sopslab("status", check=False).stdout
    assert run(["git", "ls-remote", "--heads", "origin", "help"], cwd=clone).stdout == ""

    done = json.loads(asking.lab.sopslab("helped", "ada", "--json").stdout)
    assert (done["changed"], list(done["helped"])) == (1, ["ada"])
    assert _rows(asking)["ada"]["asked"] is None
    # She can ask again, even if root cleared the request: the Git server may run as another user.
    run(["git", "push", "origin", "HEAD:help"], cwd=clone)
    assert _rows(asking)["ada"]["asked"] is not None
    said = run(["git", "push", "origin", "HEAD:help"], cwd=clone).stderr
    assert "You do not ask for help any more" in said
    assert _rows(asking)["ada"]["asked"] is None


def test_hints_of_the_learner_and_of_the_instructor_are_counted_together(
    asking: Classroom, tmp_path: Path
) -> None:
    # A step has three hints, and no other is counted.
    (asking.bare("ada") / RECORD).unlink(missing_ok=True)
    clone = asking.clone("ada", tmp_path)
    first = run(["git", "push", "origin", "HEAD:hint"], cwd=clone).stderr
    given = json.loads(asking.lab.sopslab("hint", "ada", "--json").stdout)
    # The Git server, which may run as another user, adds to the record that the verb has written.
    run(["git", "push", "origin", "HEAD:hint"], cwd=clone)

    assert "Hint " in first
    assert given["learner"] == "ada"
    assert _rows(asking)["ada"]["hints"] == 3
    assert _rows(asking)["bob"]["hints"] == 0


def test_nobody_asks_for_help_in_the_name_of_somebody_else(
    asking: Classroom, tmp_path: Path
) -> None:
    clone = asking.clone("bob", tmp_path)
    for remote in (asking.url("ada"), replaced(asking.url("ada"), "ada/lab", "platform")):
        pushed = run(["git", "push", remote, "HEAD:help"], cwd=clone, check=False)
        assert pushed.returncode != 0 and "403" in pushed.stderr, pushed.stderr
    assert not (asking.bare("ada") / MARK).exists()
    assert {row["asked"] for row in _rows(asking).values()} == {None}


def test_a_reset_leaves_whoever_asks_for_help_asking(asking: Classroom, tmp_path: Path) -> None:
    clone = asking.clone("ada", tmp_path)
    run(["git", "push", "origin", "HEAD:help"], cwd=clone)
    asked = _rows(asking)["ada"]["asked"]
    asking.lab.sopslab("reset", "ada", "--json")

    assert _rows(asking)["ada"]["asked"] == asked is not None
