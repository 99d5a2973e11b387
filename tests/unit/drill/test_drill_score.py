"""The score of the drill: each step is judged alone, and says what to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from sopslab.checks.drill import STEPS, Seen, exposed_for_ever, score
from sopslab.config.environment import at_seat
from sopslab.config.settings import Learner
from sopslab.incidents.closing import Use
from sopslab.incidents.leak import CLONE, KEY, LOG, covering, names_leak
from sopslab.incidents.records import Exposure, Incident, Upstream
from sopslab.model.drills import Staged
from sopslab.model.incidents import Cause
from sopslab.model.results import Result, Undecided

DAY = date(2026, 11, 25)
ADA = at_seat(Learner(id="ada", name="Ada", email="ada@example.org"))
STAGED = Staged("0" * 40, "1" * 40, "2" * 40, "f" * 64)
EXPOSURE = Exposure("ada/lab", STAGED.leak, "a.yaml", (KEY,), "secret-plaintext")
BEGUN = Incident(
    "2026-11-25-leaked-api-key", Cause.VALUE_EXPOSED, ("ada",), DAY, exposures=(EXPOSURE,)
)
DONE = replace(
    BEGUN, closed=DAY, upstream=(Upstream("the key", DAY),), remains=(f"{LOG} and {CLONE}",)
)
KEYS = frozenset({KEY})
USE = Use("a.yaml on main of ada/lab", KEY, "replace it")
STAGED_ONLY = Seen(ADA, STAGED, None, KEYS, (USE,), KEYS, (USE,))
FINISHED = Seen(ADA, STAGED, DONE, KEYS, (), KEYS, ())


def by_id(seen: Seen) -> dict[str, Result]:
    results = score(seen)
    assert tuple(result.id for result in results) == STEPS
    return {result.id: result for result in results}


def statuses(seen: Seen) -> list[str]:
    return [result.status.value for result in by_id(seen).values()]


def test_nothing_is_done_when_it_is_staged_and_every_step_says_what_to_do() -> None:
    assert statuses(STAGED_ONLY) == ["failed"] * len(STEPS)
    assert all(result.next_step for result in by_id(STAGED_ONLY).values())
    assert by_id(STAGED_ONLY)["found"].next_step == "sopslab incident open leaked-api-key ada"


def test_all_is_done_when_the_incident_is_closed() -> None:
    assert statuses(FINISHED) == ["ok"] * len(STEPS)


@pytest.mark.parametrize(
    ("seen", "open_steps"),
    [
        (replace(FINISHED, incident=BEGUN), {"audited", "revoked", "closed"}),
        (replace(FINISHED, incident=replace(DONE, closed=None)), {"closed"}),
        (replace(FINISHED, incident=replace(DONE, remains=(LOG,))), {"audited"}),
        (replace(FINISHED, incident=replace(DONE, upstream=(Upstream("x"),))), {"revoked"}),
        (replace(FINISHED, uses=(USE,)), {"rotated"}),
        (replace(FINISHED, main=None), {"rotated"}),
        (replace(FINISHED, main=frozenset({"OTHER"})), {"rotated"}),
        (replace(FINISHED, live_uses=(USE,)), {"live"}),
        (replace(FINISHED, live=None), {"live"}),
    ],
)
def test_each_step_is_judged_by_itself(seen: Seen, open_steps: set[str]) -> None:
    assert {one.id for one in score(seen) if one.status.value == "failed"} == open_steps


def test_what_is_closed_takes_only_what_is_revoked_already() -> None:
    revoked = by_id(replace(FINISHED, incident=replace(DONE, upstream=())))["revoked"]
    assert "--upstream" in revoked.next_step and "--revoked" in revoked.next_step
    opened = by_id(replace(FINISHED, incident=BEGUN))["revoked"]
    assert "--revoked" not in opened.next_step


def test_an_audit_says_how_many_places_are_lacking_and_not_which() -> None:
    audited = by_id(replace(FINISHED, incident=BEGUN))["audited"]
    assert LOG not in audited.found + audited.next_step
    assert CLONE not in audited.found + audited.next_step


def test_what_cannot_be_looked_at_is_not_known() -> None:
    trouble = {"live": Undecided("the cluster could not be asked", "sopslab up")}
    live = by_id(replace(FINISHED, trouble=trouble))["live"]
    assert (live.status.value, live.next_step) == ("unknown", "sopslab up")


def test_what_stays_exposed_names_every_place() -> None:
    told = "\n".join(exposed_for_ever(FINISHED))
    for place in (LOG, CLONE, STAGED.leak[:12], STAGED.fixed[:12]):
        assert place in told
    begun = "\n".join(exposed_for_ever(replace(FINISHED, incident=BEGUN)))
    assert LOG not in begun and CLONE not in begun


def test_an_incident_has_the_leak_by_repository_and_commit() -> None:
    assert names_leak(BEGUN, "ada/lab", STAGED.leak)
    assert not names_leak(BEGUN, "bob/lab", STAGED.leak)
    assert not names_leak(BEGUN, "ada/lab", STAGED.fixed)
    assert covering("ada/lab", STAGED.leak, []) is None
    assert covering("ada/lab", STAGED.leak, [BEGUN, DONE]) is DONE
