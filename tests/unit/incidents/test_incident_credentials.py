"""Credentials on record: those due on a day, and those that an open incident makes due now."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.errors import InputError
from sopslab.incidents.credentials import (
    CREDENTIALS_FILE,
    Credential,
    Place,
    Rotation,
    Urgency,
    entries,
    parse_credentials,
    render_credentials,
)
from sopslab.incidents.records import Exposure, Incident
from sopslab.model.incidents import Cause

TODAY = date(2026, 11, 25)
PLACE = Place("learner/lab", "flux/secrets/develop/payment-api.yaml", ("API_KEY",))
CREDENTIAL = Credential(
    "payment-api", "the payment provider", Rotation.QUARTERLY, TODAY, "Ada", PLACE
)
EXPOSURE = Exposure("learner/lab", "1" * 40, "deploy/api.yaml", ("API_KEY",), "secret-plaintext")
INCIDENT = Incident(
    "2026-11-20-leak",
    Cause.VALUE_EXPOSED,
    ("learner",),
    date(2026, 11, 20),
    exposures=(EXPOSURE,),
)


def lab(identifier: str) -> Credential:
    return replace(CREDENTIAL, id=identifier, place=None)


@pytest.mark.parametrize(
    ("age", "urgency"),
    [(0, "later"), (75, "later"), (76, "soon"), (90, "soon"), (91, "overdue"), (1000, "overdue")],
)
def test_a_credential_is_due_after_its_period_and_announced_before(age: int, urgency: str) -> None:
    rotated = TODAY - timedelta(days=age)
    (entry,) = entries([replace(CREDENTIAL, rotated=rotated)], [], TODAY)
    assert (entry.urgency, entry.is_due) == (Urgency(urgency), urgency != "later")
    assert entry.due == rotated + timedelta(days=90)


@pytest.mark.parametrize(
    ("rotation", "days"), [("monthly", 30), ("quarterly", 90), ("yearly", 365)]
)
def test_a_class_says_how_long_a_credential_is_used(rotation: str, days: int) -> None:
    due = replace(CREDENTIAL, rotation=Rotation(rotation)).due
    assert due - TODAY == timedelta(days=days)


def test_what_an_open_incident_exposes_is_due_since_it_was_opened() -> None:
    (entry,) = entries([CREDENTIAL], [INCIDENT], TODAY)
    assert (entry.urgency, entry.due, entry.incident) == (
        Urgency.EXPOSED, INCIDENT.opened, INCIDENT.id,
    )  # fmt: skip
    closed = replace(INCIDENT, closed=TODAY)
    assert entries([CREDENTIAL], [closed], TODAY)[0].urgency is Urgency.LATER


@pytest.mark.parametrize(
    "exposure",
    [
        replace(EXPOSURE, repository="ada/lab"),
        replace(EXPOSURE, keys=("OTHER",)),
        replace(EXPOSURE, keys=()),
    ],
)
def test_an_exposed_value_of_no_credential_is_listed_nevertheless(exposure: Exposure) -> None:
    listed = entries([CREDENTIAL], [replace(INCIDENT, exposures=(exposure,))], TODAY)
    assert [one.urgency for one in listed] == [Urgency.EXPOSED, Urgency.LATER]
    assert "deploy/api.yaml" in listed[0].credential.where


@pytest.mark.parametrize(
    ("cause", "subjects", "exposed"),
    [
        ("learner-key", ("ada",), {"identity:ada"}),
        ("cluster-key", (), {"identity:ada", "identity:bob"}),
        ("instructor-key", (), {"identity:instructor"}),
        ("git-credential", ("bob",), {"git:bob"}),
        ("git-credential", (), {"git:ada", "git:bob", "git:flux"}),
    ],
)
def test_a_cause_exposes_what_it_is_about(
    cause: str, subjects: tuple[str, ...], exposed: set[str]
) -> None:
    known = [
        *(lab(f"identity:{key}") for key in ("ada", "bob", "instructor")),
        *(lab(f"git:{user}") for user in ("ada", "bob", "flux")),
        lab("secret:ada/git"),
    ]
    incident = replace(INCIDENT, cause=Cause(cause), subjects=subjects, exposures=())
    found = entries(known, [incident], TODAY)
    assert {one.credential.id for one in found if one.urgency is Urgency.EXPOSED} == exposed


def test_the_most_urgent_come_first() -> None:
    known = [
        replace(lab("new"), rotated=TODAY),
        replace(lab("old"), rotated=TODAY - timedelta(days=200)),
        replace(lab("older"), rotated=TODAY - timedelta(days=300)),
        replace(lab("soon"), rotated=TODAY - timedelta(days=80)),
        CREDENTIAL,
    ]
    listed = [one.credential.id for one in entries(known, [INCIDENT], TODAY)]
    assert listed == ["payment-api", "older", "old", "soon", "new"]


@given(st.integers(0, 2000), st.sampled_from(Rotation))
def test_nothing_is_forgotten_and_the_day_decides(age: int, rotation: Rotation) -> None:
    credential = replace(CREDENTIAL, rotation=rotation, rotated=TODAY - timedelta(days=age))
    (entry,) = entries([credential], [], TODAY)
    assert entry.is_due == (entry.due - TODAY <= timedelta(days=14))
    assert (entry.urgency is Urgency.OVERDUE) == (entry.due < TODAY)


def test_what_was_written_is_read_as_it_was() -> None:
    known = (replace(CREDENTIAL, place=None), replace(CREDENTIAL, id="other"))
    text = render_credentials(known)
    assert render_credentials(parse_credentials(CREDENTIALS_FILE, text)) == text
    assert [vars(one) for one in parse_credentials(CREDENTIALS_FILE, text)] == [
        vars(one) for one in known
    ]


def test_every_problem_of_a_registry_is_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        parse_credentials(
            "mine.yaml",
            """
            credentials:
            - {id: Payment API, where: there, rotation: daily, rotated: soon, owner: ada, value: x}
            """,
        )
    told = "\n".join(refused.value.problems)
    for key in ("id", "rotation", "rotated", "value"):
        assert f"mine.yaml: credentials.0.{key}" in told


def test_an_id_is_there_once_and_never_one_of_the_labs_own() -> None:
    text = render_credentials([CREDENTIAL, CREDENTIAL])
    with pytest.raises(InputError, match="payment-api is there twice"):
        parse_credentials(CREDENTIALS_FILE, text)
    with pytest.raises(InputError, match=r"credentials\.0\.id"):
        parse_credentials(CREDENTIALS_FILE, text.replace("payment-api\n", "git:ada\n"))
