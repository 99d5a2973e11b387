"""A reset on a host that only answers: what it asks and does for one environment, and for many."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sopslab.config.settings import load_settings
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from tests.fake import Answers, Run, look_text

RESET = PROJECT / "deploys" / "reset.py"
Data = Callable[..., dict[str, Any]]


def run(lab_data: Data, *learners: str, seats: int = 0) -> Run:
    """Run a deploy on a machine that has a class, and says nothing else of itself."""
    data = lab_data(learners=list(learners))
    roster = [
        {"id": f"s{one}", "name": f"Learner {one}", "email": f"s{one}@example.org"}
        for one in range(seats)
    ]
    enrolled = look_text(load_settings(data), recorded_roster)
    answers = {enrolled: json.dumps(json.dumps(roster)) if roster else ""}
    refusal = {"there is no environment of joe": "refused"}
    return Run(RESET, data, Answers(answers, failures=refusal))


def steps(run: Run) -> list[str]:
    return list(dict.fromkeys(event.operation.step for event in run.ends))


def test_a_lab_without_a_class_is_about_its_learner(lab_data: Data) -> None:
    done = run(lab_data)
    assert steps(done) == ["Format", "Git", "Flux", "Canary", "Class"]
    assert "Git | Put the clone back" in done.changed + done.unchanged


def test_a_seat_has_no_clone_here_and_its_keys_go_where_flux_reads_them(
    lab_data: Data,
) -> None:
    done = run(lab_data, "s1", seats=3)
    assert steps(done) == ["Format", "Git", "Flux", "Canary", "Class"]
    names = done.changed + done.unchanged
    assert "Flux | Give Flux its Secrets" in names
    assert not any("clone" in name for name in names)
    assert not any("s0" in command or "s2" in command for command in done.commands)


def test_the_number_of_commands_does_not_grow_with_the_seats(lab_data: Data) -> None:
    few = run(lab_data, "s0", "s1", seats=2)
    many = run(lab_data, *(f"s{one}" for one in range(40)), seats=40)
    assert len(many.commands) == len(few.commands)


def test_whoever_has_no_environment_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done = run(lab_data, "s1", "joe", seats=3)
    assert done.failed
    assert done.changed == []
    assert done.unchanged == ["Format | Check the lab's format", "Git | Begin a reset"]


def test_a_class_is_not_reset_because_nobody_was_named(lab_data: Data) -> None:
    done = run(lab_data, seats=3)
    assert done.changed == []
