"""What keeps an incident open, each point with the command that settles it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from sopslab.incidents.closing import PROVEN, Use, missing, remaining
from sopslab.incidents.records import Exposure, Incident, Upstream
from sopslab.model.incidents import Cause

EXPOSURE = Exposure("learner/lab", "1" * 40, "a.yaml", ("API_KEY",), "secret-plaintext")
REVOKED = Upstream("the key at the provider", date(2026, 11, 25))
LEAK = Incident(
    "2026-11-25-leak",
    Cause.VALUE_EXPOSED,
    ("learner",),
    date(2026, 11, 25),
    exposures=(EXPOSURE,),
    upstream=(REVOKED,),
)
USE = Use("b.yaml on main", "API_KEY", "replace it")
TIME = "2026-11-25T21:00:00+00:00"


def test_nothing_is_missing_once_the_value_is_replaced_and_revoked() -> None:
    assert missing(LEAK, ()) == []


@pytest.mark.parametrize(
    ("incident", "uses", "sentence"),
    [
        (LEAK, (USE,), "API_KEY still has its exposed value in b.yaml on main: replace it"),
        (replace(LEAK, upstream=()), (), "--upstream"),
        (
            replace(LEAK, upstream=(REVOKED, Upstream("the webhook"))),
            (),
            "the webhook is not revoked yet: once it is, sopslab incident note 2026-11-25-leak"
            " --revoked 'the webhook'",
        ),
        (
            replace(LEAK, upstream=(Upstream("a `b` $(c)"),)),
            (),
            "sopslab incident note 2026-11-25-leak --revoked 'a `b` $(c)'",
        ),
        (replace(LEAK, rotation={"files": TIME}), (), "sopslab rotate value-exposed --incident"),
    ],
)
def test_what_is_missing_is_said_with_what_ends_it(
    incident: Incident, uses: tuple[Use, ...], sentence: str
) -> None:
    (told,) = missing(incident, uses)
    assert sentence in told


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.VALUE_EXPOSED])
def test_a_key_that_is_known_asks_for_a_rotation_that_is_proven(cause: Cause) -> None:
    incident = replace(LEAK, cause=cause, exposures=(), upstream=())
    (told,) = missing(incident, ())
    assert f"sopslab rotate {cause.value} --incident" in told
    assert missing(replace(incident, rotation={PROVEN: TIME}), ()) == []


def test_everything_that_is_missing_is_told_at_once() -> None:
    incident = replace(LEAK, cause=Cause.CLUSTER_KEY, upstream=(Upstream("a"), Upstream("b")))
    assert len(missing(incident, (USE, USE))) == 5


def test_what_remains_is_named_with_commit_and_path() -> None:
    (sentence,) = remaining([EXPOSURE])
    assert "API_KEY" in sentence and "a.yaml" in sentence and "1" * 12 in sentence
    assert next(remaining([replace(EXPOSURE, keys=())])).startswith("a value")
