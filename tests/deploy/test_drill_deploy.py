"""A drill on a host that only answers: its questions, its changes, and the learners that it
affects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.environment import solo
from sopslab.config.settings import load_settings
from sopslab.lab.observe.drills import drill_states
from sopslab.lab.observe.records import recorded_documents
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from tests import repositories
from tests.fake import Answers, Run, look_text

STAGE, END, RECORD = (
    PROJECT / "deploys" / f"{name}.py" for name in ("drill", "drill_end", "record")
)
NOTE = {"before": "a" * 40, "leak": "b" * 40, "fixed": "c" * 40, "digest": "d" * 64}
Data = Callable[..., dict[str, Any]]


def run(
    deploy: Path, lab_data: Data, *learners: str, seats: int = 0, staged: str | None = None
) -> Run:
    """Run a deploy on a machine with a class; `staged` says whether the learner's drill is
    staged."""
    data = lab_data(learners=list(learners))
    settings = load_settings(data)
    roster = repositories.seats(seats)
    drills = look_text(settings, drill_states, environments=[solo(settings)])
    answers = {
        look_text(settings, recorded_roster): json.dumps(json.dumps(roster)) if roster else "",
        drills: json.dumps({"learner": {"staged": NOTE, "on_main": staged == "main"}})
        if staged
        else "",
    }
    return Run(deploy, data, Answers(answers, failures={"no environment of joe": "refused"}))


def names(done: Run) -> list[str]:
    return done.changed + done.unchanged


def test_a_leak_is_staged_and_delivered(lab_data: Data) -> None:
    done = run(STAGE, lab_data)
    assert not done.failed
    assert "Git | Stage a leak in learner/lab" in done.changed
    assert "Flux | Have Flux apply the repositories" in names(done)


def test_a_leak_that_is_on_main_is_staged_already(lab_data: Data) -> None:
    done = run(STAGE, lab_data, staged="main")
    assert "Git | Stage a leak in learner/lab" in done.unchanged


def test_a_leak_that_is_not_on_main_is_staged_anew(lab_data: Data) -> None:
    done = run(STAGE, lab_data, staged="off")
    assert "Git | Stage a leak in learner/lab" in done.changed


def test_a_drill_in_a_class_is_about_the_seat_that_was_named(lab_data: Data) -> None:
    done = run(STAGE, lab_data, "s1", seats=3)
    assert "Git | Stage a leak in s1/lab" in done.changed
    (stage,) = [one for one in done.given if "act.drills.stage" in one.command]
    assert json.loads(stage.stdin)["environment"]["id"] == "s1"
    assert not [one for one in done.given if re.search(r"\bs[02]\b", one.text)]
    nobody = run(STAGE, lab_data, seats=3)
    assert not any("Stage" in name for name in names(nobody))


@pytest.mark.parametrize("deploy", [STAGE, END])
def test_whoever_has_no_environment_ends_the_run_before_anything_is_done(
    lab_data: Data, deploy: Path
) -> None:
    done = run(deploy, lab_data, "joe", seats=2)
    assert done.failed
    assert names(done) == ["Version | Check the lab's format", "Git | Begin with the drill"]


@pytest.mark.parametrize("deploy", [END, PROJECT / "deploys" / "reset.py"])
def test_the_end_and_a_reset_take_a_drill_away(lab_data: Data, deploy: Path) -> None:
    done = run(deploy, lab_data, staged="main")
    assert "Git | End the drills" in done.changed
    assert "Git | End the drills" in run(deploy, lab_data).unchanged


def test_a_record_is_put_into_the_platform_repository_once(lab_data: Data) -> None:
    records = {"docs/a.yaml": "a: 1\n"}
    data = lab_data(records=records)
    present = look_text(load_settings(data), recorded_documents, folder="docs")
    done = Run(RECORD, data, Answers({}))
    assert done.changed == ["Platform | Put records into the platform repository"]
    again = Run(RECORD, data, Answers({present: json.dumps(records)}))
    assert again.changed == []
