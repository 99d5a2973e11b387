"""Records of incidents: read strictly, written the same way each time, with names and no values."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from sopslab.errors import InputError
from sopslab.incidents.records import (
    Exposure,
    Incident,
    Upstream,
    incident_file,
    parse_incident,
    render_incident,
)
from sopslab.model.incidents import Cause, incident_path
from tests.texts import replaced

EXPOSURE = Exposure(
    repository="learner/lab",
    commit="1" * 40,
    path="deploy/api.yaml",
    keys=("API_KEY",),
    rule="secret-plaintext",
)
INCIDENT = Incident(
    id="2026-11-25-leaked-api-key",
    cause=Cause.VALUE_EXPOSED,
    subjects=("learner",),
    opened=date(2026, 11, 25),
    exposures=(EXPOSURE,),
    upstream=(Upstream("the API key at the payment provider"),),
    rotation={"inventory": "2026-11-25T21:00:00+00:00"},
    remains=("the old value of API_KEY in the history of learner/lab",),
)
PATH = incident_path(INCIDENT.id)
REVOKED = Upstream("the API key at the payment provider", date(2026, 11, 26))


def problems(text: str, path: str = PATH) -> str:
    with pytest.raises(InputError) as refused:
        parse_incident(path, text)
    return "\n".join(refused.value.problems)


@pytest.mark.parametrize(
    "incident",
    [
        INCIDENT,
        Incident(INCIDENT.id, Cause.CLUSTER_KEY, (), date(2026, 11, 25)),
        replace(INCIDENT, closed=date(2026, 11, 26), upstream=(REVOKED,)),
        replace(INCIDENT, upstream=(Upstream("yes"), Upstream("007: {a}")), remains=("# no",)),
    ],
)
def test_what_was_written_is_read_as_it_was(incident: Incident) -> None:
    text = render_incident(incident)
    assert parse_incident(PATH, text) == incident
    assert render_incident(parse_incident(PATH, text)) == text


def test_a_sentence_may_be_long_and_is_read_in_one_line() -> None:
    sentence = f"another value for a\nb\x1b{'x' * 900}"
    written = replace(INCIDENT, upstream=(Upstream(sentence),), remains=(sentence,))
    read = parse_incident(PATH, render_incident(written))
    assert read.remains == read.unrevoked == (f"another value for a\\nb\\x1b{'x' * 900}",)
    assert incident_file(read)[1] == render_incident(read)
    with pytest.raises(InputError, match="printable"):
        incident_file(written)
    for none in (" ", "x" * 5000):
        assert "remains" in problems(render_incident(replace(INCIDENT, remains=(none,))))


def test_a_record_is_plain_yaml_with_a_fact_on_each_line() -> None:
    text = render_incident(INCIDENT)
    assert text.startswith(f"id: {INCIDENT.id}\ncause: value-exposed\nsubjects:\n- learner\n")
    assert "opened: 2026-11-25\nclosed: null\n" in text
    assert "!!" not in text


def test_a_record_by_hand_may_leave_out_what_is_empty() -> None:
    text = f"id: {INCIDENT.id}\ncause: learner-key\nsubjects: [ada]\nopened: 2026-11-25\n"
    incident = parse_incident(PATH, text)
    assert incident.closed is None
    assert not incident.exposures


def test_every_problem_is_told_at_once() -> None:
    told = problems(
        """
        id: leaked
        cause: carelessness
        subjects: [Ada]
        opened: yesterday
        blame: [bob]
        exposures: [{repository: learner/lab, commit: HEAD, path: a, keys: [], rule: password}]
        rotation: {inventory: noon}
        """
    )
    for place in ("id", "cause", "subjects.0", "opened", "blame", "exposures.0.commit", "rotation"):
        assert f"{PATH}: {place}" in told


@pytest.mark.parametrize("text", ["", "[]", "a: [", "just text", "id: 1\nid: 2\n"])
def test_what_is_no_record_is_refused(text: str) -> None:
    assert PATH in problems(text)


@pytest.mark.parametrize(
    "identifier",
    [
        "2026-13-25-leak",
        "2026-11-25",
        "2026-11-25-Leak",
        "2026-11-25-a/b",
        "2026-11-25-" + "a" * 80,
    ],
)
def test_an_id_names_a_day_and_fits_a_file(identifier: str) -> None:
    text = f"id: {identifier}\ncause: learner-key\nsubjects: []\nopened: 2026-11-25\n"
    assert f"{PATH}: id: " in problems(text)


def test_a_value_where_a_name_belongs_is_not_repeated() -> None:
    text = replaced(render_incident(INCIDENT), "commit: '" + "1" * 40, "commit: 'hunter2")
    assert "hunter2" in text
    assert "hunter2" not in problems(text)


def test_a_file_is_called_by_its_id() -> None:
    assert "belongs in" in problems(render_incident(INCIDENT), incident_path("2026-11-25-other"))


def test_an_incident_is_not_closed_before_everything_is_revoked() -> None:
    open_upstream = replace(INCIDENT, closed=date(2026, 11, 26))
    assert "not yet revoked" in problems(render_incident(open_upstream))
    too_early = replace(INCIDENT, closed=date(2026, 11, 24), upstream=(REVOKED,))
    assert "before it was opened" in problems(render_incident(too_early))


def test_an_exposure_counts_once() -> None:
    twice = replace(INCIDENT, exposures=(EXPOSURE, EXPOSURE))
    assert "twice" in problems(render_incident(twice))


def test_no_subject_means_everybody() -> None:
    assert INCIDENT.concerns("learner")
    assert not INCIDENT.concerns("ada")
    assert replace(INCIDENT, subjects=()).concerns("ada")
