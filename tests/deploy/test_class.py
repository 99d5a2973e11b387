"""The deploy of a class on a host that only answers: every step looks once at all seats, and acts
once for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sopslab.config.enrolled import record_of
from sopslab.config.enrolment import enrol
from sopslab.config.places import FLUX, INSTRUCTOR
from sopslab.config.settings import load_settings
from sopslab.layout import POD_PIDS_LIMIT, PROJECT
from sopslab.model.accounts import Accounts
from sopslab.model.events import Planned
from sopslab.model.kind import Limits
from tests.fake import Run
from tests.machines import Facts, bare, cluster, said
from tests.repositories import seats

DEPLOY = PROJECT / "deploy.py"
Data = Callable[..., dict[str, Any]]


def run_class(lab_data: Data, number: int) -> Run:
    data = lab_data(seats=seats(number))
    return Run(DEPLOY, data, bare(load_settings(data)))


def test_a_class_has_a_step_at_the_beginning_and_one_at_the_end(lab_data: Data) -> None:
    run = run_class(lab_data, 2)
    assert not run.failed
    steps = [event.operation.step for event in run.ends]
    assert list(dict.fromkeys(steps)) == [
        *("Host", "Format", "Artifacts", "Network", "Roster", "Git", "Keys", "Learners"),
        *("Platform", "Cluster", "Flux", "Canary", "Class"),
    ]


def test_the_number_of_commands_does_not_grow_with_the_seats(lab_data: Data) -> None:
    few, many = run_class(lab_data, 2), run_class(lab_data, 40)
    assert not few.failed and not many.failed
    assert "Learners | Fill 3 repositories" in few.changed
    # The seats, and with them the lab's own learner.
    as_few = [re.sub(r"\b4([01])\b", lambda one: "23"[int(one[1])], name) for name in many.changed]
    assert as_few == few.changed
    assert len(many.commands) == len(few.commands)


def test_a_spare_is_made_like_any_seat(lab_data: Data) -> None:
    data = lab_data(seats=seats(1), spares=1)
    run = Run(DEPLOY, data, bare(load_settings(data)))
    assert not run.failed
    made = [
        order for command in run.commands if (order := repr(command)) and "spare-1/lab" in order
    ]
    assert made
    assert len(run.commands) == len(run_class(lab_data, 2).commands)


def test_nothing_is_awaited_of_who_has_no_access_any_more(lab_data: Data) -> None:
    over = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}Z"
    learners = [one | {"expires": over} if one["id"] == "s0" else one
                for one in seats(2)]  # fmt: skip
    data = lab_data(seats=learners)
    settings = load_settings(data)
    answers = bare(settings)
    facts = Facts(settings)
    users = (FLUX, INSTRUCTOR, settings.learner.id, "s0", "s1")
    answers[facts.users] = said(Accounts(users, listed=users))
    answers[facts.enrolled] = said(record_of(enrol(settings.seats, [], prune=False).seats))
    run = Run(DEPLOY, data, answers)
    assert not run.failed
    assert any("act.accounts.lock" in command for command in run.commands)
    # The canaries of the other seat and of the lab's own learner.
    assert any(name.endswith("decrypt 2 canaries") for name in run.changed)


@pytest.mark.parametrize("staying", [0, 1])
def test_who_is_pruned_pushes_nothing_any_more_before_anything_is_archived(
    staying: int, lab_data: Data
) -> None:
    data = lab_data(seats=seats(staying), prune=True)
    settings = load_settings(data)
    answers, facts = bare(settings), Facts(settings)
    answers[facts.users] = said(Accounts(listed=(FLUX, INSTRUCTOR, "s0", "s1")))
    enrolled = enrol(load_settings(lab_data(seats=seats(2))).seats, [], prune=False)
    answers[facts.enrolled] = said(record_of(enrolled.seats))
    run = Run(DEPLOY, data, answers)
    assert not run.failed
    acts = [command.partition("sopslab.lab act.")[2].partition(" ")[0] for command in run.commands]
    assert acts.index("accounts.lock") < acts.index("pruning.prune")
    leaving = ", ".join(seat["id"] for seat in seats(2)[staying:])
    assert run.notes("Git | Refuse whose access has ended") == [f"refused now: {leaving}"]


@pytest.mark.parametrize(("recreate", "step"), [(False, "Platform"), (True, "Flux")])
def test_access_is_issued_by_the_cluster_that_stays(
    recreate: bool, step: str, lab_data: Data
) -> None:
    data = lab_data(seats=seats(2), recreate=recreate)
    settings = load_settings(data)
    answers = bare(settings)
    answers[Facts(settings).cluster] = cluster()
    planned = Run(DEPLOY, data, answers).events[0]
    assert isinstance(planned, Planned)
    steps = [one.step for one in planned.operations if one.label == "Issue the access of 2 seats"]
    assert steps == [step]


@pytest.mark.parametrize(
    ("number", "noted"), [(0, []), (1, ["starting pods might take 100 % of all processors"])]
)
def test_what_starting_pods_take_is_limited_in_a_class_only(
    lab_data: Data, number: int, noted: list[str]
) -> None:
    data = lab_data(seats=seats(number))
    answers = bare(load_settings(data))
    facts = Facts(load_settings(data))
    answers[facts.cluster] = cluster()
    answers[facts.limits] = said(Limits(POD_PIDS_LIMIT, 0))
    run = Run(DEPLOY, data, answers)
    assert run.notes("Network | Limit what pods take from the node") == noted
