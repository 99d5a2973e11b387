"""The record of who is enrolled, as the steps of a run read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host

from sopslab.config.enrolled import enrolled_in, record_of
from sopslab.config.settings import Enrolled, Settings
from sopslab.errors import LabError
from tasks.roster import enrolment_of

ADA, BOB = (
    Enrolled(id=one, name=f"Name of {one}", email=f"{one}@example.org") for one in ("ada", "bob")
)


class Host:
    """A remote host with a record of who is enrolled."""

    connector = None

    def __init__(self, *seats: Enrolled) -> None:
        self.seats = seats

    def get_fact(self, fact: Any, **arguments: Any) -> str:
        return json.dumps(record_of(self.seats))


def test_an_unchanged_record_is_validated_once_and_a_changed_one_anew() -> None:
    path, record = Path("roster.json"), record_of([ADA, BOB])
    assert enrolled_in(path, record) is enrolled_in(path, record_of([ADA, BOB]))
    assert enrolled_in(path, record_of([ADA])) == (ADA,)
    assert enrolled_in(path, record) == (ADA, BOB)


@pytest.mark.parametrize(
    "record", ["", "[{", "[" * 100_000, b"\xff"], ids=["empty", "cut", "deep", "bytes"]
)
def test_a_record_that_is_no_json_is_refused_in_a_sentence(record: str | bytes) -> None:
    with pytest.raises(LabError, match=r"roster\.json cannot be read \(it is not JSON\)"):
        enrolled_in(Path("roster.json"), record)


def test_a_run_decides_once_for_each_record_what_it_does_with_the_seats(
    lab: Callable[..., Settings],
) -> None:
    settings, host = lab(), Host(ADA, BOB)
    with ctx_host.use(host):
        first = enrolment_of(settings)
        assert [seat.id for seat in first.seats] == ["ada", "bob"]
        assert enrolment_of(settings) is first
        # Another run has settings of its own, and another time.
        assert enrolment_of(settings.model_copy()) is not first
        host.seats = (ADA,)
        assert enrolment_of(settings).seats == (ADA,)
