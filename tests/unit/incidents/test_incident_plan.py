"""The rotation plan of a learner: what is filled in from the record, and what belongs to others."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sopslab.config.environment import at_seat
from sopslab.config.settings import Seat
from sopslab.incidents.credentials import Credential, Place, Rotation, entries
from sopslab.incidents.plan import render_plan
from sopslab.incidents.records import Incident, Upstream
from sopslab.model.incidents import Cause

TODAY = date(2026, 11, 25)
ADA = at_seat(Seat(id="ada", name="Ada", email="ada@example.org"))
OPEN = Incident(
    "2026-11-24-leak", Cause.VALUE_EXPOSED, ("ada",), date(2026, 11, 24),
    upstream=(Upstream("the webhook", date(2026, 11, 25)), Upstream("the payment key")),
)  # fmt: skip
OVERDUE = [
    Credential(name, "there", Rotation.MONTHLY, date(2026, 1, 1), "x", Place(repository, "a.yaml"))
    for name, repository in (("api-of-ada", "ada/lab"), ("api-of-bob", "bob/lab"))
]


def plan(*incidents: Incident) -> str:
    return render_plan(ADA, entries(OVERDUE, incidents, TODAY), incidents)


def test_an_open_incident_is_filled_in_with_what_is_still_to_be_revoked() -> None:
    rows = [row for row in plan(OPEN).splitlines() if row.startswith("|")]
    (webhook,) = [row for row in rows if "the webhook" in row]
    (key,) = [row for row in rows if "the payment key" in row]
    assert "2026-11-25" in webhook and "2026-11-25" not in key
    assert any("2026-11-24-leak" in row and "2026-11-24" in row for row in rows)


def test_what_is_over_or_of_somebody_else_is_not_in_it() -> None:
    over, of_bob = replace(OPEN, closed=TODAY), replace(OPEN, subjects=("bob",))
    assert plan(over) == plan(of_bob) == plan()


def test_what_is_due_is_the_learners_own() -> None:
    assert "api-of-ada" in plan() and "api-of-bob" not in plan()
