"""A rotation on a host that only answers: the steps of each cause, and looks without changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sopslab.config.settings import load_settings
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from sopslab.model.incidents import Cause
from tests.fake import Answers, Run, look_text

# Ended long ago.
OVER = {"expires": "2026-01-01T00:00:00Z", "suspended": "2026-01-01T00:00:00Z", "grace": 366}
ROTATE = PROJECT / "deploys" / "rotate.py"
Data = Callable[..., dict[str, Any]]


def run(
    lab_data: Data,
    cause: str,
    *learners: str,
    seats: int = 0,
    deploy: Any = ROTATE,
    over: Sequence[str] = (),
) -> Run:
    """Run a deploy on a machine whose only answer is its class."""
    data = lab_data(cause=cause, incident="2026-11-25-test", learners=list(learners))
    roster = [
        {"id": f"s{one}", "name": f"Learner {one}", "email": f"s{one}@example.org"}
        | (OVER if f"s{one}" in over else {})
        for one in range(seats)
    ]
    enrolled = look_text(load_settings(data), recorded_roster)
    answers = {enrolled: json.dumps(json.dumps(roster)) if roster else ""}
    refusal = {"there is no environment of joe": "refused"}
    return Run(deploy, data, Answers(answers, failures=refusal))


def names(run: Run) -> list[str]:
    return [name.partition(" | ")[0] for name in run.changed + run.unchanged]


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_has_the_steps_that_it_needs(lab_data: Data, cause: str) -> None:
    done = run(lab_data, cause, "s0", seats=2)
    steps = set(names(done))
    assert ("Keys" in steps) is cause.endswith("-key")
    assert ("Files" in steps) is (cause != "git-credential")
    assert ("Access" in steps) is (cause == "git-credential")
    assert {"Inventory", "Proof", "Class", "Values"} <= steps


def test_nothing_is_done_for_another_seat(lab_data: Data) -> None:
    done = run(lab_data, "learner-key", "s1", seats=3)

    def named(seat: str) -> bool:
        names = (f"{seat}-develop", f"lab-{seat}-sys", f"{seat}/lab.git")
        return any(name in command for command in done.commands for name in names)

    assert named("s1") and not named("s0") and not named("s2")


@pytest.mark.parametrize("cause", list(Cause))
def test_files_of_whose_access_has_ended_change_and_nothing_is_awaited(
    lab_data: Data, cause: str
) -> None:
    done = run(lab_data, cause, "s0", "s1", seats=2, over=["s0"])
    assert not done.failed
    for command in done.commands:
        for what in ("deliveries", "canary_states", "settling", "live_values", "old_consumers"):
            assert what not in command or "s0/lab" not in command
    assert any("s0/lab" in command for command in done.commands)


def test_the_number_of_commands_does_not_grow_with_the_seats(lab_data: Data) -> None:
    few = run(lab_data, "cluster-key", "s0", "s1", seats=2)
    many = run(lab_data, "cluster-key", *(f"s{one}" for one in range(40)), seats=40)
    assert len(many.commands) == len(few.commands)


def test_whoever_has_no_environment_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done = run(lab_data, "learner-key", "s1", "joe", seats=3)
    assert done.failed
    assert done.changed == []
    assert done.unchanged == ["Format | Check the lab's format", "Inventory | Begin a rotation"]
