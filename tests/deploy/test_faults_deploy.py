"""Breaking and fixing on a host that only answers: which seats are affected, and what an exam
reveals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Learner, Settings, load_settings
from sopslab.course.fault_record import Injection, render_record
from sopslab.course.faults import BY_ID
from sopslab.lab.observe.exercise import exercise_on_main
from sopslab.lab.observe.faults import fault_records
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from sopslab.model.faults import Exercise
from tests.fake import Answers, Run, look_text
from tests.machines import said

# Ended long ago, and it stays for a while.
OVER = {"expires": "2026-01-01T00:00:00Z", "suspended": "2026-01-01T00:00:00Z", "grace": 366}
BREAK, FIX = PROJECT / "deploys" / "break.py", PROJECT / "deploys" / "fix.py"
Data = Callable[..., dict[str, Any]]


def seat(name: str) -> dict[str, str]:
    return {"id": name, "name": name, "email": f"{name}@example.org"}


def answers(settings: Settings, *seats: str, broken: str = "", over: str = "") -> Answers:
    """Return the answers of a host on which everybody has done the exercise.

    + over: the seat whose access has ended
    """
    known = {name: at_seat(Learner(**seat(name))) for name in seats}
    known[settings.learner.id] = solo(settings)
    roster = json.dumps([seat(name) | (OVER if name == over else {}) for name in seats])
    found = {look_text(settings, recorded_roster): json.dumps(roster) if seats else ""}
    for one in known.values():
        text = look_text(settings, exercise_on_main, environment=one, secret="backend-secrets")
        found[text] = said(Exercise(encrypted=True, listed=True))
    if broken:
        record = render_record({"suspended-kustomization": Injection(done=True)})
        everybody = list(known.values())
        for environments in (everybody, [known[broken]]):
            text = look_text(settings, fault_records, environments=environments)
            found[text] = json.dumps({broken: record})
    return Answers(found, failures={"there is no environment of joe": "refused"})


def run(
    deploy: Any, lab_data: Data, *seats: str, broken: str = "", over: str = "", **data: Any
) -> tuple[Run, Settings]:
    given = lab_data(**data)
    settings = load_settings(given)
    return Run(deploy, given, answers(settings, *seats, broken=broken, over=over)), settings


def test_one_environment_is_broken_and_nobody_else_is_named(lab_data: Data) -> None:
    done, _ = run(BREAK, lab_data, "ada", "bob", learners=["ada"], faults=["wrong-key"])
    assert not done.failed
    assert done.changed == ["Faults | Break the environment of ada"]
    (inject,) = [one.text for one in done.given if "act.faults.inject" in one.command]
    assert "ada/lab" in inject and "bob" not in inject


def test_a_lab_without_a_class_is_about_its_learner(lab_data: Data) -> None:
    done, _ = run(BREAK, lab_data, faults=["wrong-path"])
    assert done.changed == ["Faults | Break the environment of learner"]


@pytest.mark.parametrize("count", [1, 2])
def test_an_exam_tells_nowhere_what_it_drew(lab_data: Data, count: int) -> None:
    for seed in range(5):
        done, _ = run(BREAK, lab_data, "ada", learners=["ada"], exam=seed, exam_faults=count)
        assert not done.failed and done.changed
        for told in (str(done.events), *done.commands):
            assert not [fault for fault in BY_ID if fault in told]


def test_who_has_no_environment_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done, _ = run(BREAK, lab_data, "ada", learners=["joe"], faults=["wrong-key"])
    assert done.failed
    assert done.changed == []
    assert done.unchanged == ["Version | Check the lab's format", "Faults | Begin to break"]


def test_fixing_is_about_everybody_who_is_broken(lab_data: Data) -> None:
    done, _ = run(FIX, lab_data, "ada", "bob", broken="ada")
    assert not done.failed
    assert "Faults | Undo what was injected" in done.changed
    assert "Flux | Forget the faults" in done.changed
    assert done.notes("Faults | Undo what was injected") == ["ada: suspended-kustomization"]
    (mend,) = [one.text for one in done.given if "act.faults.mend" in one.command]
    assert "ada/lab" in mend and "bob" not in mend


@pytest.mark.parametrize("over", ["", "ada"])
def test_flux_is_awaited_unless_the_access_has_ended(lab_data: Data, over: str) -> None:
    done, _ = run(FIX, lab_data, "ada", "bob", broken="ada", over=over, learners=["ada"])
    assert not done.failed
    assert done.notes("Faults | Undo what was injected") == ["ada: suspended-kustomization"]
    assert any("observe.delivery.deliveries" in command for command in done.commands) is (not over)
    assert "Flux | Forget the faults" in done.changed


def test_where_nothing_is_injected_fixing_changes_nothing(lab_data: Data) -> None:
    done, _ = run(FIX, lab_data, "ada", "bob")
    assert not done.failed and done.changed == []
