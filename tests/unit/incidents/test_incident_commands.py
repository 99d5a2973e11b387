"""`sopslab incident` and `sopslab credentials`: their refusals, and the records that they write."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.environment import Environment, at_seat
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.incidents.closing import Use
from sopslab.incidents.credentials import Credential, Rotation
from sopslab.incidents.records import Exposure, Incident, Upstream, parse_incident
from sopslab.lab.incidents.values import Evidence
from sopslab.model.incidents import Cause, incident_path
from sopslab.model.results import Undecided
from sopslab.run.runner import Result as RunResult
from tests.repositories import learner

DAY = date(2026, 11, 25)
EXPOSURE = Exposure("learner/lab", "1" * 40, "a.yaml", ("API_KEY",), "secret-plaintext")
OPEN = Incident(
    "2026-11-24-leak", Cause.VALUE_EXPOSED, ("learner",), DAY, exposures=(EXPOSURE,),
    upstream=(Upstream("the key"),),
)  # fmt: skip


class Lab:
    """What the commands see, and the records that they write."""

    def __init__(self) -> None:
        self.incidents: list[Incident] = []
        self.found: tuple[Exposure, ...] = ()
        self.evidence = Evidence((), ())
        self.written: dict[str, str] = {}

    def record(self) -> Incident:
        ((path, text),) = self.written.items()
        return parse_incident(path, text)


@pytest.fixture
def seen(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("SOPSLAB_ROOT", lab().root)
    found = Lab()

    def deploy(file: str, data: dict[str, str], log: Path, *_more: Any) -> RunResult:
        assert file == "deploys/record.py"
        found.written = json.loads(data["records"])
        return RunResult(Exit.OK, 1.0, [], [], log)

    def known(_settings: Settings) -> dict[str, Incident]:
        return {one.id: one for one in found.incidents}

    monkeypatch.setattr("sopslab.run.runner.run", deploy)
    for module in ("incident", "credentials"):
        monkeypatch.setattr(f"sopslab.cli.verbs.{module}.today", lambda: DAY)
        monkeypatch.setattr(f"sopslab.cli.verbs.{module}.keep_to_the_lab", lambda _settings: None)
    monkeypatch.setattr("sopslab.lab.observe.incidents.read_incidents", known)
    monkeypatch.setattr("sopslab.lab.incidents.history.find_exposures", lambda *_: found.found)
    monkeypatch.setattr("sopslab.lab.incidents.values.gather", lambda *_: found.evidence)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_opening_records_cause_subjects_and_what_the_history_holds(seen: Lab) -> None:
    seen.found = (EXPOSURE,)
    done = run("incident", "open", "leaked-key", "--upstream", "the key", "--remains", "a log")
    assert done.exit_code == 0, done.output
    record = seen.record()
    assert (record.id, record.cause) == ("2026-11-25-leaked-key", Cause.VALUE_EXPOSED)
    assert (record.subjects, record.exposures) == (("learner",), (EXPOSURE,))
    assert record.unrevoked == ("the key",)
    assert record.remains[-1] == "a log" and "a.yaml" in record.remains[0]
    assert "sopslab incident close 2026-11-25-leaked-key" in done.output


def test_one_history_that_cannot_be_searched_keeps_nobody_else_out_of_the_record(
    seen: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [at_seat(learner(name)) for name in ("ada", "bob")]
    monkeypatch.setattr("sopslab.cli.verbs.incident.named_environments", lambda *_: people)

    def search(_settings: Settings, environment: Environment) -> tuple[Exposure, ...]:
        if environment.id == "bob":
            raise Undecided("the history of bob/lab could not be searched")
        return (EXPOSURE,)

    monkeypatch.setattr("sopslab.lab.incidents.history.find_exposures", search)
    done = run("incident", "open", "leak")
    assert done.exit_code == Exit.PARTIAL
    assert "bob is not in the record: the history of bob/lab could not be" in done.stderr
    assert (seen.record().subjects, seen.record().exposures) == (("ada",), (EXPOSURE,))
    done = run("incident", "open", "leak", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (Exit.PARTIAL, False)
    assert ["bob" in problem for problem in told["problems"]] == [True]
    # Where nobody's can be searched, nothing is recorded.
    people.pop(0)
    seen.written = {}
    done = run("incident", "open", "another")
    assert done.exit_code == Exit.FAILED and "could not be searched" in done.stderr
    assert seen.written == {}
    # Of a key that leaked, no history says anything.
    assert run("incident", "open", "key", "--cause", "learner-key").exit_code == 0
    assert seen.record().subjects == ("bob",)


def test_what_another_incident_has_is_not_taken_in(seen: Lab) -> None:
    seen.found, seen.incidents = (EXPOSURE,), [OPEN]
    assert run("incident", "open", "another").exit_code == 0
    assert seen.record().exposures == ()


def test_opened_again_on_the_same_day_it_takes_in_what_is_new(seen: Lab) -> None:
    seen.found = (EXPOSURE,)
    run("incident", "open", "leak", "--upstream", "the key")
    seen.incidents = [seen.record()]
    other = Exposure("learner/lab", "2" * 40, "b.yaml", (), "password")
    seen.found = (EXPOSURE, other)
    run("incident", "open", "leak")
    record = seen.record()
    assert record.exposures == (EXPOSURE, other)
    assert record.unrevoked == ("the key",)
    run("incident", "open", "leak")
    assert seen.record() == record


def test_opened_again_with_another_cause_it_is_refused(seen: Lab) -> None:
    seen.incidents = [Incident("2026-11-25-leak", Cause.LEARNER_KEY, ("learner",), DAY)]
    done = run("incident", "open", "leak", "--cause", "cluster-key")
    assert done.exit_code == Exit.INPUT
    assert "2026-11-25-leak is open with the cause learner-key" in done.stderr
    assert seen.written == {}
    for told in ((), ("--cause", "learner-key")):
        assert run("incident", "open", "leak", *told).exit_code == 0
        assert seen.record().cause is Cause.LEARNER_KEY


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("open", "Leaked Key"), "cannot name an incident"),
        (("open", "leak", "joe"), "there is no environment of joe: known are learner"),
        (("open", "leak", "--upstream", "a\nb"), "printable"),
        (("note", "2026-11-01-none", "--remains", "x"), "on record are 2026-11-24-leak"),
        (("note", OPEN.id, "--revoked", "that"), "is not on the list"),
        (("show", "2026-11-01-none"), "there is no incident"),
        (("close", "2026-11-01-none"), "there is no incident"),
    ],
)
def test_bad_input_is_refused_and_nothing_recorded(
    seen: Lab, arguments: tuple[str, ...], sentence: str
) -> None:
    seen.incidents = [OPEN]
    done = run("incident", *arguments)
    assert done.exit_code == Exit.INPUT
    assert sentence in done.stderr
    assert seen.written == {}


def test_a_note_adds_what_is_to_be_revoked_and_what_is(seen: Lab) -> None:
    seen.incidents = [OPEN]
    done = run(
        "incident", "note", OPEN.id, "--upstream", "the webhook", "--revoked", "the key",
        "--remains", "a clone",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert seen.record().upstream == (Upstream("the key", DAY), Upstream("the webhook"))
    assert seen.record().remains == ("a clone",)


def test_closing_is_refused_with_everything_that_is_missing(seen: Lab) -> None:
    seen.incidents = [OPEN]
    seen.evidence = Evidence((Use("b.yaml on main", "API_KEY", "replace it"),), ())
    done = run("incident", "close", OPEN.id)
    assert done.exit_code == Exit.FAILED
    assert "replace it" in done.stderr and "the key is not revoked yet" in done.stderr
    assert seen.written == {}


def test_closing_says_what_stays_exposed_and_what_nobody_could_compare(seen: Lab) -> None:
    closable = Incident(
        OPEN.id, OPEN.cause, OPEN.subjects, DAY, exposures=OPEN.exposures,
        upstream=(Upstream("the key", DAY),), remains=("a clone",),
    )  # fmt: skip
    seen.incidents = [closable]
    seen.evidence = Evidence((), (EXPOSURE,))
    done = run("incident", "close", OPEN.id)
    assert done.exit_code == 0, done.output
    assert seen.record().closed == DAY
    assert "a clone" in done.output and "could not be compared" in done.output
    done = run("incident", "close", OPEN.id, "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (0, True)
    assert [EXPOSURE.path in remark for remark in told["remarks"]] == [True]


def test_the_list_has_all_that_is_on_record(seen: Lab) -> None:
    assert json.loads(run("incident", "--json").stdout)["incidents"] == []
    seen.incidents = [OPEN]
    (told,) = json.loads(run("incident", "--json").stdout)["incidents"]
    assert (told["id"], told["closed"]) == ("2026-11-24-leak", None)
    assert told["exposures"][0]["path"] == "a.yaml"


def test_a_record_is_shown_as_it_lies_in_the_repository(seen: Lab) -> None:
    seen.incidents = [OPEN]
    shown = run("incident", "show", OPEN.id).stdout
    assert parse_incident(incident_path(OPEN.id), shown) == OPEN


@pytest.fixture
def credentials(seen: Lab, monkeypatch: pytest.MonkeyPatch) -> list[Credential]:
    known = [
        Credential("provider", "the provider", Rotation.MONTHLY, DAY, "Ada"),
        Credential("git:learner", "Git password", Rotation.QUARTERLY, DAY, "instructor"),
    ]
    monkeypatch.setattr("sopslab.lab.observe.incidents.read_credentials", lambda _: known[:1])
    monkeypatch.setattr("sopslab.lab.incidents.derived.derived_credentials", lambda *_: known[1:])
    return known


@pytest.mark.usefixtures("credentials")
def test_credentials_that_are_due_are_listed(seen: Lab) -> None:
    assert json.loads(run("credentials", "--json").stdout)["credentials"] == []
    seen.incidents = [OPEN]
    (entry,) = json.loads(run("credentials", "--json").stdout)["credentials"]
    assert (entry["urgency"], entry["incident"]) == ("exposed", OPEN.id)
    assert len(json.loads(run("credentials", "--all", "--json").stdout)["credentials"]) == 3
    assert OPEN.id in run("credentials").output


@pytest.mark.usefixtures("credentials")
def test_a_plan_is_printed_for_who_is_there(seen: Lab) -> None:
    seen.incidents = [OPEN]
    assert OPEN.id in run("credentials", "plan").stdout
    done = run("credentials", "plan", "joe")
    assert (done.exit_code, done.stdout) == (Exit.INPUT, "")


@pytest.mark.usefixtures("credentials")
def test_a_list_of_credentials_is_put_on_record_if_it_is_right(seen: Lab, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "credentials:\n- {id: api, where: there, rotation: monthly, rotated: 2026-11-01,"
        " owner: Ada}\n"
    )
    assert run("credentials", "record", str(file)).exit_code == 0
    assert list(seen.written) == ["docs/credentials.yaml"]
    seen.written = {}
    file.write_text("credentials:\n- {id: api, value: x}\n")
    done = run("credentials", "record", str(file))
    assert done.exit_code == Exit.INPUT
    assert len(done.stderr.splitlines()) >= 4
    assert seen.written == {}
