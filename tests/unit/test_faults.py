"""Faults in repositories, with the real Git and sops, and a cluster that only answers."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.checks.rules.platform import LOCKDOWN
from sopslab.config.environment import at_seat, solo
from sopslab.config.settings import Settings
from sopslab.course.fault_record import Injection, parse_record
from sopslab.course.faults import BY_ID, FAULTS, Scope, clash, draw, injectable
from sopslab.lab.act.flux_objects import LOCKDOWN_FLAG
from sopslab.lab.observe.exercise import exercise_on_main
from sopslab.lab.observe.faults import fault_records
from sopslab.provision.operations import faults
from tests.beginnings import begin
from tests.commands import failures
from tests.fake import Applied
from tests.marks import mostly_soak
from tests.repositories import git, learner
from tests.texts import write_program
from tests.unit.test_reset import FOLDER, Class

IN_GIT = [fault.id for fault in FAULTS if fault.scope is Scope.LEARNER]
TYPO = "encrypted-regex-typo"
SECRET = f"{FOLDER}/backend-secrets.yaml"
LIST = f"{FOLDER}/kustomization.yaml"
# A stand-in for kubectl, with which everything succeeds.
KUBECTL = """#!/bin/sh
for word; do
    case $word in --filename | --patch-file) cat >/dev/null ;; esac
done
echo "$@" >>"$(dirname "$0")/../calls"
"""


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path, beginnings: Path
) -> Class:
    """Return seats whose learners have done the exercise."""
    made = Class(lab(), tmp_path / "learners", {})
    environments = [at_seat(learner(seat)) for seat in ("ada", "bob")]

    def make() -> None:
        folder = tools("sops", "age", "age-keygen")
        write_program(folder / "kubectl", KUBECTL)
        made.folder.mkdir()
        for environment in environments:
            made.add(environment)
        assert made.reset("ada", "bob", to="done").changed
        follow(made, "ada")

    if begin(tmp_path, beginnings / "classroom", make):
        for environment in environments:
            made.find(environment)
    return made


def follow(classroom: Class, seat: str) -> None:
    """Bring a learner's clone to main."""
    git(classroom.clone(seat), "fetch", "--quiet")
    git(classroom.clone(seat), "reset", "--quiet", "--hard", "origin/main")


def inject(classroom: Class, *ids: str, seat: str = "ada") -> Applied:
    return Applied(
        faults.injection,
        settings=classroom.settings,
        environment=classroom.seats[seat],
        faults=ids,
    )


def undo(classroom: Class, *seats: str) -> Applied:
    return Applied(
        faults.removal,
        settings=classroom.settings,
        environments=[classroom.seats[seat] for seat in seats or ("ada",)],
    )


def forget(classroom: Class) -> Applied:
    environments = list(classroom.seats.values())
    return Applied(faults.records, settings=classroom.settings, environments=environments)


def record(classroom: Class, seat: str = "ada") -> Path:
    return Path(classroom.settings.lab_dir) / "faults" / seat


def write_record(classroom: Class, **known: Injection) -> None:
    told = {
        name.replace("_", "-"): {"commit": one.commit, "done": one.done}
        for name, one in known.items()
    }
    record(classroom).write_bytes(base64.b64encode(json.dumps(told).encode()))


def listing(classroom: Class, ref: str = "heads/main") -> dict[str, str]:
    text = git(classroom.bare("ada"), "ls-tree", "-r", ref)
    return {line.split("\t")[1]: line.split()[2] for line in text.splitlines()}


@pytest.mark.parametrize("fault", mostly_soak(IN_GIT, TYPO))
def test_a_teammates_commit_is_put_on_main_once_and_taken_off_again(
    classroom: Class, fault: str
) -> None:
    before, other = classroom.refs("ada"), classroom.refs("bob")
    done = inject(classroom, fault)
    assert done.changed and not done.failed, done.stderr
    after = classroom.refs("ada")
    assert {name for name in after if after[name] != before[name]} == {"heads/main"}
    bare = classroom.bare("ada")
    assert git(bare, "rev-parse", "heads/main^") == before["heads/main"]
    assert git(bare, "log", "-1", "--format=%an") == "A teammate"
    known = parse_record(record(classroom).read_text())
    assert known == {fault: Injection(done=True, commit=after["heads/main"])}
    again = inject(classroom, fault)
    assert not again.changed and not again.failed
    undone = undo(classroom)
    assert undone.changed and not undone.failed, undone.stderr
    assert classroom.refs("ada") == before
    assert classroom.refs("bob") == other
    assert forget(classroom).changed
    assert not record(classroom).exists()
    assert not undo(classroom).changed and not forget(classroom).changed
    assert not list(Path(classroom.settings.lab_dir).rglob(".new*"))


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_is_broken_is_written_down_for_its_owner_alone_and_not_in_clear(
    classroom: Class, umask: int
) -> None:
    before = os.umask(umask)
    try:
        inject(classroom, "wrong-recipient")
    finally:
        os.umask(before)
    assert record(classroom).stat().st_mode & 0o777 == 0o600
    assert record(classroom).parent.stat().st_mode & 0o777 == 0o700
    assert "wrong" not in record(classroom).read_text()


def test_each_fault_is_what_it_is_called(classroom: Class) -> None:
    bare = classroom.bare("ada")

    def show(path: str) -> str:
        return git(bare, "show", f"heads/main:{path}")

    def broken(fault: str) -> None:
        undo(classroom)
        forget(classroom)
        assert not inject(classroom, fault).failed

    whole = show(SECRET)
    broken("not-wired")
    assert "  # - backend-secrets.yaml" in show(LIST).splitlines()
    broken("wrong-recipient")
    own = local_recipient(classroom, "ada")
    assert own in whole and own not in show(SECRET) and "ENC[" in show(SECRET)
    broken("edited-ciphertext")
    pairs = zip(whole.splitlines(), show(SECRET).splitlines(), strict=True)
    ((was, now),) = [(was, now) for was, now in pairs if was != now]
    assert sum(one != other for one, other in zip(was, now, strict=True)) == 1
    broken(TYPO)
    assert "encrypted_regex: ^(dta|stringData)$" in show(".sops.yaml")
    assert "encrypted_regex: ^(dta|stringData)$" in show(SECRET)
    assert "API_TOKEN: ENC[" not in show(SECRET)


def local_recipient(classroom: Class, seat: str) -> str:
    text = git(classroom.bare(seat), "show", "refs/lab/start:.sops.yaml")
    return text.split("age: ")[1].split()[0]


@pytest.mark.parametrize("fault", mostly_soak(IN_GIT, TYPO))
def test_what_a_learner_has_committed_since_stays(classroom: Class, fault: str) -> None:
    before = listing(classroom)
    assert not inject(classroom, fault).failed
    brought = classroom.refs("ada")["heads/main"]
    follow(classroom, "ada")
    (classroom.clone("ada") / "notes.md").write_text("mine\n")
    classroom.commit("ada", "My notes\n\nAt length.")
    assert undo(classroom).changed
    bare = classroom.bare("ada")
    notes = git(bare, "hash-object", str(classroom.clone("ada") / "notes.md"))
    assert listing(classroom) == {**before, "notes.md": notes}
    told = git(bare, "log", "--format=%an %B", "heads/main", "--", "notes.md")
    assert told == "Ada My notes\n\nAt length."
    reached = git(bare, "rev-list", "--branches").split()
    # A commit that counts as a leak is in no history. Otherwise, the learner's clone need not go
    # back.
    assert (brought in reached) != BY_ID[fault].exposes
    head = classroom.refs("ada")["heads/main"]
    undo(classroom)
    assert classroom.refs("ada")["heads/main"] == head


@pytest.mark.parametrize("fault", mostly_soak(IN_GIT, TYPO))
def test_what_a_learner_has_repaired_is_repaired(classroom: Class, fault: str) -> None:
    before = classroom.refs("ada")["heads/main"]
    assert not inject(classroom, fault).failed
    follow(classroom, "ada")
    clone = classroom.clone("ada")
    git(clone, "checkout", "--quiet", before, "--", ".")
    repaired = classroom.commit("ada", "Repair it")
    assert not undo(classroom).failed
    main = classroom.refs("ada")["heads/main"]
    assert git(classroom.bare("ada"), "diff", "--stat", before, main) == ""
    if not BY_ID[fault].exposes:
        assert main == repaired


@pytest.mark.parametrize("fault", [fault.id for fault in FAULTS if fault.exposes])
def test_a_leak_is_taken_out_of_what_a_reset_has_kept_too(classroom: Class, fault: str) -> None:
    inject(classroom, fault)
    brought = classroom.refs("ada")["heads/main"]
    classroom.reset("ada", to="done")
    saved = [name for name in classroom.refs("ada") if name.startswith("heads/saved")]
    assert saved and not undo(classroom).failed
    assert brought not in git(classroom.bare("ada"), "rev-list", "--branches").split()


@pytest.mark.parametrize("order", [(TYPO, "not-wired"), ("not-wired", TYPO)])
def test_two_faults_are_taken_off_together(classroom: Class, order: tuple[str, str]) -> None:
    before = classroom.refs("ada")
    for fault in order:
        assert not inject(classroom, fault).failed
    assert not undo(classroom).failed
    assert classroom.refs("ada") == before


@pytest.mark.parametrize("fault", mostly_soak(IN_GIT, TYPO))
def test_a_run_that_was_killed_before_main_moved_goes_on_or_is_undone(
    classroom: Class, fault: str
) -> None:
    before = classroom.refs("ada")["heads/main"]
    inject(classroom, fault)
    brought = classroom.refs("ada")["heads/main"]

    def killed() -> None:
        git(classroom.bare("ada"), "update-ref", "refs/heads/main", before)
        write_record(classroom, **{fault: Injection(done=False, commit=brought)})

    killed()
    assert inject(classroom, fault).changed
    assert classroom.refs("ada")["heads/main"] == brought
    killed()
    assert not undo(classroom).failed
    assert classroom.refs("ada")["heads/main"] == before


def test_the_lab_s_own_clone_follows_where_it_has_nothing_of_its_own(
    classroom: Class,
) -> None:
    settings = classroom.settings
    classroom.add(solo(settings))
    classroom.reset("learner", to="done")
    work = Path(settings.work_dir)
    git(classroom.folder, "clone", "--quiet", str(classroom.bare("learner")), str(work))
    begun = git(work, "rev-parse", "HEAD")
    for mine in (False, True):
        inject(classroom, "wrong-recipient", seat="learner")
        git(work, "pull", "--quiet")
        pulled = git(work, "rev-parse", "HEAD")
        if mine:
            (work / "mine").write_text("not committed\n")
        assert not undo(classroom, "learner").failed
        forget(classroom)
        assert git(work, "rev-parse", "HEAD") == (pulled if mine else begun)
        assert (work / "mine").exists() == mine


def test_an_exercise_that_is_not_done_is_not_broken(classroom: Class) -> None:
    classroom.reset("bob", to="encrypted")
    refs = classroom.refs("bob")
    for fault in ("wrong-key", "wrong-recipient"):
        done = inject(classroom, fault, seat="bob")
        assert done.failed
        assert "`sopslab reset bob --to done`" in done.stderr
    assert classroom.refs("bob") == refs
    assert not record(classroom, "bob").exists()


def test_two_faults_in_one_place_are_refused(classroom: Class) -> None:
    inject(classroom, "wrong-recipient")
    head = classroom.refs("ada")["heads/main"]
    done = inject(classroom, "edited-ciphertext")
    assert done.failed and "`sopslab fix ada` first" in done.stderr
    assert classroom.refs("ada")["heads/main"] == head


def test_how_far_the_exercise_is_shows_on_main(classroom: Class) -> None:
    def found() -> tuple[bool, bool]:
        seen = exercise_on_main(
            classroom.settings.for_machine,
            environment=classroom.seats["ada"],
            secret="backend-secrets",
        )
        assert seen.problem is None
        return seen.encrypted, seen.listed

    for checkpoint, expected in (
        ("start", (False, False)), ("encrypted", (True, False)), ("done", (True, True)),
    ):  # fmt: skip
        classroom.reset("ada", to=checkpoint)
        assert found() == expected


def test_a_record_that_is_none_is_said(classroom: Class) -> None:
    inject(classroom, "not-wired")
    record(classroom).write_text("nonsense")
    with pytest.raises(ValueError, match="not a record of faults"):
        parse_record(record(classroom).read_text())
    done = inject(classroom, "wrong-path")
    assert done.failed and "`sopslab reset ada`, then remove it" in done.stderr
    assert not undo(classroom).failed
    assert "`sopslab reset ada`, then remove it" in failures(classroom.settings)["ada"]


def test_records_of_all_are_read_in_one_look(classroom: Class) -> None:
    inject(classroom, "not-wired")
    inject(classroom, "wrong-recipient", seat="bob")
    environments = list(classroom.seats.values())
    found = fault_records(classroom.settings.for_machine, environments)
    assert {seat: list(parse_record(text)) for seat, text in found.items()} == {
        "ada": ["not-wired"], "bob": ["wrong-recipient"],
    }  # fmt: skip


# The catalog


def test_the_catalog_says_something_of_each_fault_and_ids_are_unique() -> None:
    assert len(BY_ID) == len(FAULTS) == 13
    for fault in FAULTS:
        assert fault.title and fault.teaches and not fault.teaches.endswith(".")


def test_the_flag_that_is_taken_off_is_one_of_the_lockdown() -> None:
    assert LOCKDOWN_FLAG in LOCKDOWN["kustomize-controller"]


def test_in_a_class_nothing_is_broken_that_all_share() -> None:
    at_seat_ids = {fault.id for fault in injectable(seat=True, in_class=True)}
    alone_ids = {fault.id for fault in injectable(seat=False, in_class=True)}
    assert injectable(seat=False, in_class=False) == list(FAULTS)
    shared = {"source-controller-without-git", "drifted-lockdown-flag"}
    assert set(BY_ID) - at_seat_ids == shared
    # The lab's own learner reads Git with the platform's credential.
    assert set(BY_ID) - alone_ids == shared | {"git-credential-revoked"}


@pytest.mark.parametrize("count", [1, 2])
def test_an_exam_is_the_same_for_the_same_seed_and_never_contradicts_itself(count: int) -> None:
    among = injectable(seat=True, in_class=True)
    drawn = [draw(seed, count, among) for seed in range(200)]
    assert drawn == [draw(seed, count, among) for seed in range(200)]
    assert all(len(ids) == count and clash(ids) is None for ids in drawn)
    assert {fault for ids in drawn for fault in ids} == {fault.id for fault in among}


def test_what_an_exam_draws_does_not_change_with_a_version() -> None:
    assert draw(7, 1, FAULTS) == ("wrong-recipient",)
    assert draw(7, 2, FAULTS) == ("not-wired", "git-credential-revoked")
