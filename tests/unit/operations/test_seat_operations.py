"""Operations on seats, run on this machine: who stays on record, and what remains of each
learner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks import canaries as judging
from sopslab.config.enrolled import read_enrolled
from sopslab.config.enrolment import assign, enrol
from sopslab.config.environment import at_seat
from sopslab.config.settings import Enrolled, Seat, Settings
from sopslab.gitserver.accounts import Accounts
from sopslab.incidents.leak import STATE, leak_dir
from sopslab.lab.act import canaries
from sopslab.lab.observe.accounts import known_accounts
from sopslab.lab.observe.drills import drill_states
from sopslab.lab.observe.faults import fault_records, record_file
from sopslab.lab.observe.handouts import handed_out
from sopslab.lab.observe.host_secrets import secrets_drift
from sopslab.lab.observe.users import retired_access
from sopslab.provision.operations import age, flux, git, seats
from tests.fake import Applied
from tests.repositories import make_identity
from tests.unit.gitserver.gitserver_material import header

ADA, ADA_2, BOB = (
    Enrolled(id=one, name=f"Learner {one}", email=f"{one}@example.org")
    for one in ("ada", "ada-2", "bob")
)
# A cluster in which Flux has removed what it applied, once it was asked as often as $here/held has
# lines.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
*" wait "*) [ ! -s "$here/held" ] || { sed -i 1d "$here/held"; false; } ;;
*" apply "*) cat >"$here/applied" ;;
*" get --raw "*/secrets*) cat "$here/live" 2>/dev/null || echo '{"items": []}' ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    """A class of three with accounts and keys, and a cluster that answers."""
    found = answered_by(KUBECTL, "age-keygen")
    for user in ("flux", *(one.id for one in (ADA, ADA_2, BOB))):
        folder = Path(found.git_dir, "credentials", user)
        folder.mkdir(parents=True)
        (folder / "username").write_text(user)
        (folder / "password").write_text(f"password of {user}")
        (folder / "git-credentials").write_text(f"http://{user}:x@127.0.0.1\n")
        with Path(found.git_dir, "htpasswd").open("a") as file:
            file.write(f"{user}:$2b$05$hash\n")
    Path(found.git_dir, "receiver").mkdir()
    Path(found.git_dir, "receiver/token").write_text("a token")
    Path(found.keys_dir).mkdir(parents=True)
    Path(found.class_dir).mkdir(parents=True)
    record(found, ADA, ADA_2, BOB)
    return found


def record(settings: Settings, *enrolled: Enrolled) -> None:
    text = json.dumps([one.model_dump() for one in enrolled])
    Path(settings.class_dir, "roster.json").write_text(text)


def recorded(settings: Settings) -> set[str]:
    text = Path(settings.class_dir, "roster.json").read_text()
    return {one["id"] for one in json.loads(text)}


def prune(settings: Settings, operation: Callable[..., Any], **more: Any) -> Applied:
    """Run a step of an `up --prune` whose roster has lost Ada."""
    enrolment = enrol([BOB, ADA_2], [ADA, ADA_2, BOB], prune=True)
    return Applied(operation, settings=settings, enrolment=enrolment, **more)


def test_whoever_is_pruned_is_on_record_until_nothing_of_them_is_left(settings: Settings) -> None:
    held = Path(settings.bin_dir, "held")
    held.write_text("\n" * 1000)
    assert prune(settings, seats.roster).changed
    assert recorded(settings) == {"ada", "ada-2", "bob"}
    assert prune(settings, seats.pruning, patience=1).failed
    # Otherwise a run that is killed here would forget learners whose namespaces still exist.
    assert recorded(settings) == {"ada", "ada-2", "bob"}
    held.unlink()
    assert not prune(settings, seats.pruning).failed
    assert recorded(settings) == {"ada-2", "bob"}
    assert not prune(settings, seats.pruning).changed


def test_a_run_that_began_before_a_spare_was_given_away_takes_it_from_nobody(
    settings: Settings,
) -> None:
    spare = Enrolled(id="spare-1", name="Spare 1", email="s@example.org", listed=False)
    begun = enrol([ADA, ADA_2, BOB], [ADA, ADA_2, BOB, spare], prune=True)
    assert begun.surplus == ("spare-1",)
    given = assign([ADA, ADA_2, BOB, spare], "spare-1", Seat(id="zoe", name="Z", email="z@e.org"))
    record(settings, *given)
    late = Applied(seats.roster, settings=settings, enrolment=begun)
    assert late.failed and "the class has changed since this run began" in late.stderr
    assert read_enrolled(settings) == given


def test_whoever_is_pruned_cannot_log_in_any_more_and_others_can(settings: Settings) -> None:
    assert prune(settings, seats.pruning).changed
    lines = Path(settings.git_dir, "htpasswd").read_text().splitlines()
    assert {line.partition(":")[0] for line in lines} == {"flux", "ada-2", "bob"}
    assert set(known_accounts(settings.for_machine).complete) == {"flux", "ada-2", "bob"}
    (kept,) = Path(settings.class_dir, "pruned").glob("ada-*/credentials/password")
    assert kept.read_text() == "password of ada"


def test_who_comes_later_with_an_id_that_was_pruned_is_let_in(settings: Settings) -> None:
    assert Applied(git.locks, settings=settings, users=["ada"]).changed
    assert prune(settings, seats.pruning).changed
    assert not Applied(git.locks, settings=settings, users=[]).changed
    assert Applied(git.users, settings=settings, users=["ada", "bob"]).changed
    password = Path(settings.account_dir("ada"), "password").read_text().strip()
    assert Accounts(Path(settings.git_dir, "htpasswd")).user(header("ada", password)) == "ada"


def test_whoever_is_pruned_is_handed_nothing_any_more_and_others_are(settings: Settings) -> None:
    for seat in ("ada", "ada-2"):
        kubeconfig = Path(settings.handout_dir(seat), "kubeconfig")
        row = Path(settings.git_dir, "rows", f"{seat}.json")
        for path in (kubeconfig, row):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    assert prune(settings, seats.pruning).changed
    assert handed_out(settings.for_machine) == ["ada-2"]
    assert [path.name for path in Path(settings.git_dir, "rows").iterdir()] == ["ada-2.json"]


def test_who_comes_later_with_an_id_that_was_pruned_has_no_fault_drill_or_access_of_before(
    settings: Settings,
) -> None:
    lab, both = settings.for_machine, [at_seat(ADA), at_seat(BOB)]
    for one in both:
        for path in (
            record_file(lab, one),
            f"{leak_dir(lab, one.id)}/{STATE}",
            f"{lab.retired_dir(one.id)}/before-1/git-credentials",
        ):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(f"of {one.id}")
    assert prune(settings, seats.pruning).changed
    assert set(fault_records(lab, both)) == {"bob"}
    assert set(drill_states(lab, both)) == {"bob"}
    assert retired_access(lab, ["ada", "bob"]) == ["bob"]
    (kept,) = Path(settings.pruned_dir).iterdir()
    archived = ("faults", f"drill/{STATE}", "retired/before-1/git-credentials")
    assert {(kept / path).read_text() for path in archived} == {"of ada"}


def test_flux_is_told_to_look_when_a_seats_key_changes(settings: Settings) -> None:
    make_identity(Path(settings.keys_dir, "ada.agekey"))
    assert Applied(flux.secrets, settings=settings, environments=[at_seat(ADA)]).changed
    applied = json.loads(Path(settings.bin_dir, "applied").read_text())["items"]
    watch = "reconcile.fluxcd.io/watch"
    labels = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in applied}
    assert {name: found.get(watch) for name, found in labels.items() if watch in found} == {
        "sops-age": "Enabled"
    }

    # A key that Flux does not watch counts as drift.
    live = [one for one in applied if one["kind"] == "Secret"]
    for unwatched, drift in ((False, {}), (True, {"ada": "differs"})):
        for one in live:
            if unwatched:
                one["metadata"]["labels"].pop(watch, None)
        Path(settings.bin_dir, "live").write_text(json.dumps({"items": live}))
        assert secrets_drift(settings.for_machine, [at_seat(ADA)]) == drift


def test_nobody_has_to_encrypt_to_an_identity_that_is_being_replaced(settings: Settings) -> None:
    keys = Path(settings.keys_dir)
    public = {}
    for name in ("instructor", "ada", "bob", "next/ada"):
        public[name] = make_identity(keys / f"{name}.agekey")
        (keys / f"{name}.pub").write_text(f"{public[name]}\n")

    def demanded() -> dict[str, set[str]]:
        folder = Path(settings.git_dir, "recipients")
        done = Applied(
            age.recipients,
            settings=settings,
            repositories={"ada": "ada", "bob": "bob"},
            path=str(folder),
        )
        assert not done.failed, done.stderr
        return {one.name: set(one.read_text().strip().split(",")) for one in folder.iterdir()}

    assert demanded() == {
        "ada": {public["instructor"]},
        "bob": {public["instructor"], public["bob"]},
    }
    # Once the successor is in its place, only the successor counts.
    for kind in ("agekey", "pub"):
        (keys / f"next/ada.{kind}").replace(keys / f"ada.{kind}")
    assert demanded()["ada"] == {public["instructor"], public["next/ada"]}


# Says what $here/kustomizations has, and records the objects that Flux is asked for again.
ASKED = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" annotate "*) cat >>"$here/asked"; echo >>"$here/asked" ;;
*" get --raw "*/kustomizations*) cat "$here/kustomizations" ;;
esac
"""


def told_by_flux(seat: str, ready: str) -> list[dict[str, Any]]:
    """Return the Kustomizations of a seat whose tenant is ready."""
    return [
        {
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace, "labels": {"sops-lab/seat": seat}},
            "spec": {},
            "status": {"conditions": [{"type": "Ready", "status": status, "message": "x"}]},
        }
        for name, namespace, status in (
            (f"tenant-{seat}", "flux-system", "True"),
            ("secrets-develop", f"lab-{seat}-sys", ready),
        )
    ]


def test_flux_is_not_asked_again_for_what_it_is_at_work_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "STUCK_S", 0)
    monkeypatch.setattr(canaries, "_ASKED_AGAIN_S", 0)
    monkeypatch.setattr(canaries, "_LONGEST_S", 2)
    folder = Path(settings.bin_dir)
    (folder / "kubectl").write_text(ASKED)
    items = [*told_by_flux("ada", "Unknown"), *told_by_flux("bob", "False")]
    # Only the tenant is left of the third seat: somebody has deleted the rest.
    items += told_by_flux("ada-2", "True")[:1]
    (folder / "kustomizations").write_text(json.dumps({"items": items}))

    environments = [at_seat(one) for one in (ADA, BOB, ADA_2)]
    canaries.await_canaries(settings.for_machine, environments)

    asked = [
        one["metadata"]
        for line in (folder / "asked").read_text().splitlines()
        for one in json.loads(line)["items"]
    ]
    assert {one["namespace"] for one in asked} == {"flux-system", "lab-bob-sys", "lab-ada-2-sys"}
    tenants = {one["name"] for one in asked if one["namespace"] == "flux-system"}
    assert tenants == {"tenant-bob", "tenant-ada-2"}
    failures = {path.name for path in Path(settings.class_dir, "failed").iterdir()}
    assert failures == {"ada", "bob", "ada-2"}
