"""Learners whose time is over: access is refused, everything is kept, and a later time lets them
in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from sopslab.checks.diagnosis import Diagnosis
from sopslab.cli.main import main
from sopslab.config.enrolled import read_enrolled, record_of
from sopslab.config.enrolment import Terms, assign, enrol, enrolment_for, plan
from sopslab.config.inputs import local_settings
from sopslab.config.settings import Enrolled, Seat, Settings
from sopslab.errors import Exit
from sopslab.gitserver.accounts import Accounts
from sopslab.lab.act import accounts
from sopslab.lab.act.enrolling import record
from sopslab.lab.observe.accounts import known_accounts
from sopslab.lab.observe.users import unbound_users
from sopslab.provision.operations import git
from sopslab.run.reaping import Reaped, end_access
from sopslab.run.runner import Result as RunResult
from tests.commands import say_format
from tests.fake import Applied
from tests.processes import holding
from tests.unit.gitserver.gitserver_material import header

END = "2026-12-01T18:00+01:00"
LATER = "2026-12-24T18:00+01:00"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
BEFORE, AFTER = (Terms(NOON + timedelta(hours=hours), grace=7) for hours in (4, 5))
LONG_AFTER = Terms(NOON + timedelta(days=7, hours=5), grace=7)


def seat(name: str, expires: str | None = None) -> Seat:
    return Seat(id=name, name=name.title(), email=f"{name}@example.org", expires=expires)


ADA, BOB = seat("ada", END), seat("bob")
DAY = timedelta(days=1)


def ids(seats: Sequence[Enrolled]) -> list[str]:
    return [one.id for one in seats]


# Who is in the class


def test_access_ends_at_its_time_and_the_environment_after_the_days_of_grace() -> None:
    recorded = enrol([ADA, BOB], [], prune=False, terms=BEFORE)
    assert (ids(recorded.seats), recorded.shut) == (["ada", "bob"], set())
    over = enrol([ADA, BOB], recorded.seats, prune=False, terms=AFTER)
    assert (ids(over.seats), over.archived, over.shut) == (["ada", "bob"], (), {"ada"})
    assert plan(over) == [
        "the access of ada has ended at 2026-12-01 18:00+01:00; what is there goes at"
        " 2026-12-08 17:00+00:00, unless a later time is given"
    ]
    # The days of grace count from then on, and a run in between does not start them again.
    still = enrol([ADA, BOB], over.seats, prune=False, terms=Terms(AFTER.now + DAY, grace=7))
    assert (still.seats, still.archived) == (over.seats, ())
    gone = enrol([ADA, BOB], still.seats, prune=False, terms=LONG_AFTER)
    assert (ids(gone.seats), gone.archived, gone.shut) == (["bob"], ("ada",), {"ada"})
    assert plan(gone) == [
        "ada loses the environment: the access has ended at 2026-12-01 18:00+01:00"
    ]
    # Her line is still in the roster, and makes no new seat.
    again = enrol([ADA, BOB], gone.seats, prune=False, terms=LONG_AFTER)
    assert (ids(again.seats), again.archived, plan(again)) == (["bob"], (), [])


@pytest.mark.parametrize("grace", [0, 7])
def test_nobody_loses_the_seat_in_the_run_that_finds_the_time_over(grace: int) -> None:
    recorded = enrol([seat("ada")], [], prune=False).seats
    mistyped = [seat("ada", "2025-12-24T18:00Z")]
    first = enrol(mistyped, recorded, prune=False, terms=Terms(NOON, grace=grace))
    assert (first.archived, first.shut) == ((), {"ada"})
    corrected = enrol([seat("ada", LATER)], first.seats, prune=False, terms=Terms(NOON + DAY))
    assert (corrected.shut, corrected.seats[0].suspended) == (set(), None)
    # The days of grace begin at this end, and not at the mistake.
    over = enrol([ADA], corrected.seats, prune=False, terms=Terms(NOON + 9 * DAY, grace=grace))
    assert (over.archived, over.shut) == ((), {"ada"})


def test_a_later_time_gives_everything_back_and_a_run_without_a_roster_forgets_no_time() -> None:
    recorded = enrol([ADA], [], prune=False, terms=BEFORE).seats
    assert enrol([], recorded, prune=False, terms=AFTER).shut == {"ada"}
    later = enrol([seat("ada", LATER)], recorded, prune=False, terms=AFTER)
    assert (ids(later.seats), later.shut, plan(later)) == (["ada"], set(), [])
    never = enrol([seat("ada")], recorded, prune=False, terms=LONG_AFTER)
    assert (ids(never.seats), never.shut) == (["ada"], set())


def test_the_time_of_the_class_is_that_of_everybody_without_one_of_their_own() -> None:
    terms = Terms(NOON, LATER, 3)
    first = enrol([ADA, BOB], [], prune=False, spares=1, terms=terms)
    assert [one.expires for one in first.seats] == [END, LATER, LATER]
    given = assign(first.seats, "spare-1", seat("zoe"))
    moved = enrol([ADA, BOB], given, prune=False, terms=Terms(NOON, END, 3))
    assert {one.id: one.expires for one in moved.seats} == dict.fromkeys(
        ["ada", "bob", "spare-1"], END
    )
    # Without the lab file, the time of the class is not known, and the recorded times stay.
    unknown = enrol([], given, prune=False, terms=Terms(NOON))
    assert [one.expires for one in unknown.seats] == [END, LATER, LATER]
    assert {one.grace for one in unknown.seats} == {3}


def test_who_has_left_the_roster_keeps_the_time_that_it_said() -> None:
    recorded = enrol([ADA, BOB], [], prune=False, terms=BEFORE).seats
    kept = enrol([BOB], recorded, prune=False, terms=AFTER)
    assert (kept.shut, kept.kept) == ({"ada"}, ("ada",))
    longer = enrol([BOB], kept.seats, prune=False, terms=Terms(AFTER.now, LATER, 7))
    assert (longer.shut, longer.seats[0].expires) == ({"ada"}, LATER)
    gone = enrol([BOB], kept.seats, prune=False, terms=LONG_AFTER)
    assert (gone.archived, gone.kept) == (("ada",), ())


# The Git server


@pytest.fixture
def class_of_two(settings: Settings) -> Settings:
    """A class in which Ada and Bob have passwords."""
    Path(settings.git_dir).mkdir(parents=True)
    accounts.renew(settings.for_machine, ["ada", "bob"])
    return settings


def password(settings: Settings, user: str) -> str:
    return Path(settings.account_dir(user), "password").read_text().strip()


def let_in(settings: Settings) -> set[str]:
    """Return which of the two the Git server lets in with the passwords in their folders."""
    server = Accounts(Path(settings.git_dir, "htpasswd"))
    users = ("ada", "bob")
    return {user for user in users if server.user(header(user, password(settings, user)))}


def test_a_password_is_refused_while_it_is_locked_and_the_same_one_afterwards(
    class_of_two: Settings,
) -> None:
    before = password(class_of_two, "ada")
    assert let_in(class_of_two) == {"ada", "bob"}
    assert Applied(git.locks, settings=class_of_two, users=["ada"]).changed
    assert let_in(class_of_two) == {"bob"}
    assert not Applied(git.locks, settings=class_of_two, users=["ada"]).changed
    # The password exists, so no run makes another one.
    assert not Applied(git.users, settings=class_of_two, users=["ada", "bob"]).changed
    server = Accounts(Path(class_of_two.git_dir, "htpasswd"))
    assert server.user(header("ada", f"!{before}")) is None
    assert Applied(git.locks, settings=class_of_two, users=[]).changed
    assert let_in(class_of_two) == {"ada", "bob"}
    assert password(class_of_two, "ada") == before


def test_a_password_that_is_not_known_here_any_more_is_refused_too(class_of_two: Settings) -> None:
    theirs = password(class_of_two, "ada")
    Path(class_of_two.account_dir("ada"), "password").unlink()
    assert Applied(git.locks, settings=class_of_two, users=["ada"]).changed
    server = Accounts(Path(class_of_two.git_dir, "htpasswd"))
    assert server.user(header("ada", theirs)) is None


def test_another_password_opens_nothing_that_is_locked(class_of_two: Settings) -> None:
    accounts.lock(class_of_two.for_machine, ["ada"])
    accounts.renew(class_of_two.for_machine, ["ada"])
    assert let_in(class_of_two) == {"bob"}
    assert known_accounts(class_of_two.for_machine).locked == ("ada",)
    accounts.lock(class_of_two.for_machine, [])
    assert let_in(class_of_two) == {"ada", "bob"}


# The cluster


def test_nobody_is_the_user_that_has_to_be_bound_where_access_has_ended(
    answered_by: Callable[..., Settings],
) -> None:
    bound = {
        "ada-develop": "sops-lab:ada:aa0000000000aa",
        "bob-develop": "sops-lab:bob:none",
    }
    items = [
        {"metadata": {"namespace": space, "name": "learner"}, "subjects": [{"name": user}]}
        for space, user in bound.items()
    ]
    asked = "*/rolebindings?labelSelector=sops-lab/seat*metadata.name=learner"
    said = f"cat <<'END'\n{json.dumps({'items': items})}\nEND\n"
    settings = answered_by(f'#!/bin/sh\ncase "$*" in {asked}) {said};; *) exit 1 ;; esac\n')
    for name, generation in (("ada", "aa0000000000aa"), ("bob", "bb0000000000bb")):
        Path(settings.seat_dir(name)).mkdir(parents=True)
        Path(settings.seat_dir(name), "generation").write_text(f"{generation}\n")
    lab = settings.for_machine
    assert unbound_users(lab, ["ada", "bob"], []) == {"bob": "sops-lab:bob:bb0000000000bb"}
    assert unbound_users(lab, ["ada", "bob"], ["bob"]) == {}
    assert unbound_users(lab, ["ada"], ["ada", "eve"]) == {"ada": "sops-lab:ada:none"}


# Reaping


@pytest.fixture
def reapable(settings: Settings) -> Settings:
    """A lab that is up. In its class, one learner's access has ended, and another's days of grace
    are over."""
    now = datetime.now(UTC)
    known = enrol([seat(name) for name in ("ada", "bob", "eve")], [], prune=False).seats
    times = {"ada": now - DAY, "bob": now - 9 * DAY}
    over = [seat(name, f"{time:%Y-%m-%dT%H:%MZ}") for name, time in times.items()]
    long_ago = Terms(now - 8 * DAY, grace=7)
    seats = enrol([*over, seat("eve")], known, prune=False, terms=long_ago).seats
    record(settings.for_machine, record_of(seats))
    Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
    return settings


def reaped(settings: Settings, problems: Sequence[str] = ()) -> tuple[Reaped, int]:
    """Return the result of reaping, and how often access was ended."""
    found, runs = Reaped(), []

    def expire() -> Sequence[str]:
        runs.append(1)
        return problems

    end_access(found, settings, expire)
    return found, len(runs)


def test_reap_ends_access_and_archives_after_the_days_of_grace(reapable: Settings) -> None:
    found, runs = reaped(reapable)
    assert (found.suspended, found.archived, runs) == (["ada"], ["bob"], 1)
    failed, _ = reaped(reapable, ["Flux hangs"])
    assert (failed.failed, failed.suspended) == ({"lab": "Flux hangs"}, [])


def test_reap_leaves_a_lab_alone_that_is_down_or_where_no_time_is_over(
    reapable: Settings,
) -> None:
    gone = Reaped(gone=["lab"])
    end_access(gone, reapable, lambda: pytest.fail("it is gone"))
    record(reapable.for_machine, record_of([Enrolled(id="eve", name="e", email="e@lab.example")]))
    assert reaped(reapable)[1] == 0
    record(reapable.for_machine, "[{")
    found, runs = reaped(reapable)
    assert runs == 0 and "cannot be read" in found.failed["lab"]
    Path(reapable.lab_kubeconfig).unlink()
    assert reaped(reapable) == (Reaped(), 0)


def test_reap_leaves_a_class_alone_that_is_worked_on(reapable: Settings) -> None:
    with holding(Path(reapable.lab_dir, "lock")) as holder:
        found, runs = reaped(reapable)
    assert (found.stays, runs) == ({"lab": f"it is being worked on by process {holder.pid}"}, 0)


def test_doctor_and_hint_name_the_end_of_an_access(
    reapable: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sopslab.checks.diagnosis.diagnose", lambda _seen: Diagnosis((), ("the cluster is down.",))
    )
    monkeypatch.setattr(
        "sopslab.lab.observe.observer.Observer.outside", lambda _self, _viewpoint: None
    )
    for verb in ("doctor", "hint"):
        monkeypatch.setattr(f"sopslab.cli.verbs.{verb}.keep_to_the_lab", lambda _settings: None)
    done = CliRunner().invoke(main, ["doctor", "ada", "--json"])
    assert [one["id"] for one in json.loads(done.stdout)["causes"]] == ["access-ended"]
    say_format(reapable)
    done = CliRunner().invoke(main, ["hint", "ada", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"]) == (Exit.INPUT, False)
    assert ["the access of ada has ended" in problem for problem in told["problems"]] == [True]


def test_a_dry_run_of_reap_says_whose_access_would_end(reapable: Settings) -> None:
    done = CliRunner().invoke(main, ["reap", "--dry-run"])
    assert done.stdout.splitlines()[:2] == [
        "the access of ada would be ended", "what bob had would be archived",
    ]  # fmt: skip
    told = json.loads(CliRunner().invoke(main, ["reap", "--dry-run", "--json"]).stdout)
    assert (told["suspended"], told["archived"]) == (["ada"], ["bob"])


def test_a_time_in_the_lab_file_is_that_of_everybody(lab: Callable[..., Settings]) -> None:
    seats = [{"id": "ada", "name": "Ada", "email": "ada@example.org"}]
    settings = lab(seats=seats, spares=1, expires="2031-05-01T10:00Z", grace=3)
    for seat in enrolment_for(settings, []).seats:
        assert (seat.expires, seat.grace) == ("2031-05-01T10:00Z", 3)


def test_reap_prunes_nobody_although_the_lab_file_says_so(
    reapable: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Mapping[str, object]] = []

    def run(_deploy: str, data: Mapping[str, object], log: Path, *_: object) -> RunResult:
        told.append(data)
        return RunResult(Exit.OK, 0.0, [], [], log)

    monkeypatch.setattr("sopslab.run.reaping.run", run)
    lab_file = Path(reapable.root, "pruning.yaml")
    lab_file.write_text("prune: true\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(lab_file))
    done = CliRunner().invoke(main, ["reap"])
    assert done.stdout.splitlines()[:2] == [
        "the access of ada has ended", "what bob had is archived",
    ]  # fmt: skip
    settings = local_settings({**told[0], "lab": reapable.lab})
    assert enrolment_for(settings, read_enrolled(settings)).pruned == ()


def test_reap_leaves_a_class_alone_that_was_made_with_other_settings(reapable: Settings) -> None:
    kubeconfig = Path(reapable.lab_kubeconfig)
    kubeconfig.write_text("clusters:\n- cluster:\n    server: https://127.0.0.1:40000\n")
    assert reaped(reapable)[1] == 1
    kubeconfig.write_text("clusters:\n- cluster:\n    server: https://192.0.2.10:40000\n")
    found, runs = reaped(reapable)
    assert runs == 0 and found.suspended == []
    assert found.failed["lab"] == (
        "it was made at 192.0.2.10, and these settings say 127.0.0.1: run this with the lab file"
        " of that lab, as SOPSLAB_FILE"
    )


@pytest.mark.parametrize("arguments", [["reissue", "ada"], ["break", "wrong-key", "ada"]])
def test_access_that_has_ended_is_neither_issued_anew_nor_broken(
    reapable: Settings, arguments: list[str]
) -> None:
    say_format(reapable)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == Exit.INPUT
    assert "the access of ada has ended at" in done.stderr
