"""A reset on a host that only answers: its questions and changes for one environment, and for
many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from sopslab.checks.namespaces import InTheWay
from sopslab.config.settings import load_settings
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from sopslab.model.decryption import SecretDrift
from sopslab.model.repositories import RepositoryState
from tests import repositories
from tests.fake import Answers, Run, look_text
from tests.machines import said

# Ended long ago, and the end is on record.
OVER = {"expires": "2026-01-01T00:00:00Z", "suspended": "2026-01-01T00:00:00Z"}
NOBODY: Mapping[str, int] = {}
RESET = PROJECT / "deploys" / "reset.py"
Data = Callable[..., dict[str, Any]]
CHANGES = [
    "Git | Put {} repositories back to start",
    "Flux | Clear what Flux did not apply",
    "Flux | Give Flux the Secrets of {} environments",
    "Flux | Have Flux apply the repositories",
    "Flux | Clear what came meanwhile",
    "Canary | Wait for Flux to decrypt {} canaries",
]


def run(
    lab_data: Data,
    *learners: str,
    seats: int = 0,
    over: Mapping[str, int] = NOBODY,
    **told: object,
) -> Run:
    """Reset learners of a class in which no repository is at the checkpoint, every namespace was
    deleted, and the cluster has no Secret.

    + over: seats whose access has ended long ago, with their days of grace
    """
    data = lab_data(learners=list(learners), **told)
    roster: list[dict[str, Any]] = [
        one | ({**OVER, "grace": over[one["id"]]} if one["id"] in over else {})
        for one in repositories.seats(seats)
    ]
    settings = load_settings(data)
    known = [settings.learner.id, *(one["id"] for one in roster)]
    moved = RepositoryState(main="2" * 40, target="1" * 40)
    answers = {
        look_text(settings, recorded_roster): json.dumps(json.dumps(roster)) if roster else "",
        "…observe.checkpoints.repository_states": said(dict.fromkeys(known, moved)),
        "…observe.namespaces.obstacles": said(dict.fromkeys(known, InTheWay(absent=("gone",)))),
        "…observe.host_secrets.secrets_drift": said(dict.fromkeys(known, SecretDrift.ABSENT)),
    }
    refusal = {"there is no environment of joe": "refused"}
    return Run(RESET, data, Answers(answers, failures=refusal))


def steps(run: Run) -> list[str]:
    return list(dict.fromkeys(event.operation.step for event in run.ends))


def test_a_lab_without_a_class_is_about_its_learner(lab_data: Data) -> None:
    done = run(lab_data)
    assert not done.failed
    assert steps(done) == ["Version", "Git", "Flux", "Canary", "Class"]
    assert "Git | Put the clone back" in done.changed + done.unchanged


def test_a_seat_has_no_clone_here_and_its_keys_go_where_flux_reads_them(
    lab_data: Data,
) -> None:
    done = run(lab_data, "s1", seats=3)
    assert not done.failed
    assert steps(done) == ["Version", "Git", "Flux", "Canary", "Class"]
    assert "Flux | Give Flux its Secrets" in done.changed
    assert not any("clone" in name for name in done.changed + done.unchanged)
    for order in ("act.checkpoints.put_back", "act.clearing.clear", "act.delivery.reconcile"):
        assert any(order in one.command and "s1" in one.stdin for one in done.given), order
    assert not [one for one in done.given if re.search(r"\bs[02]\b", one.text)]


@pytest.mark.parametrize("grace", [0, 366])
def test_nothing_is_awaited_of_whose_access_has_ended(lab_data: Data, grace: int) -> None:
    done = run(lab_data, "s0", "s1", seats=2, over={"s0": grace})
    assert not done.failed
    awaited = ("obstacles", "deliveries", "canary_states")
    for what, is_asked in (("repository_states", True), *((one, False) for one in awaited)):
        asked = [command for command in done.commands if what in command]
        assert any("s1/lab" in command for command in asked)
        assert any("s0/lab" in command for command in asked) is is_asked


def test_seats_that_no_roster_names_are_there_whatever_the_lab_file_says(lab_data: Data) -> None:
    done = run(lab_data, "s1", seats=3, prune=True, spares=2)
    assert not done.failed and done.commands == run(lab_data, "s1", seats=3).commands


def test_the_number_of_commands_does_not_grow_with_the_seats(lab_data: Data) -> None:
    few = run(lab_data, "s0", "s1", seats=2)
    many = run(lab_data, *(f"s{one}" for one in range(40)), seats=40)
    assert not few.failed and not many.failed
    assert few.changed == [change.format(2) for change in CHANGES]
    assert many.changed == [change.format(40) for change in CHANGES]
    assert len(many.commands) == len(few.commands)


def test_whoever_has_no_environment_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done = run(lab_data, "s1", "joe", seats=3)
    assert done.failed
    assert done.changed == []
    assert done.unchanged == ["Version | Check the lab's format", "Git | Begin a reset"]


def test_a_class_is_not_reset_because_nobody_was_named(lab_data: Data) -> None:
    done = run(lab_data, seats=3)
    assert not done.failed
    assert done.changed == []
    assert done.unchanged == [
        "Version | Check the lab's format",
        "Git | Begin a reset",
        "Git | End the drills",
        "Git | Put 0 repositories back to start",
        "Flux | Have no build hold up the others",
        *CHANGES[1:2],
        *CHANGES[3:5],
        "Class | Report the environments",
    ]
