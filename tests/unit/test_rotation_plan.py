"""What a rotation would change, what it remembers, and what it says about itself; without a
host."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.records import Incident, Upstream, parse_incident, render_incident
from sopslab.incidents.rotation.encrypted import Leaf, read_encrypted, splice
from sopslab.incidents.rotation.given import read_values, render_values
from sopslab.incidents.rotation.instructor import former_recipient, plan_succession
from sopslab.incidents.rotation.orders import Change, draw_up
from sopslab.incidents.rotation.phases import MEANING, PHASES, Phase, replaces_keys, touches_files
from sopslab.incidents.rotation.plan import (
    LARGE,
    Version,
    asks_elsewhere,
    faults,
    plan_version,
    remains,
    rotated_files,
    still_exposed,
    unknown_values,
)
from sopslab.incidents.rotation.record import (
    Rotation,
    begin_rotation,
    incident_of,
    parse_rotation,
    render_rotation,
)
from sopslab.incidents.rotation.sentences import rotation_plan
from sopslab.model.incidents import Cause, incident_path
from sopslab.model.repositories import RepositoryState
from sopslab.policy.findings import Undecidable
from sopslab.provision.operations.proof import _attempts
from sopslab.provision.operations.rotating import Outcome
from tests.conftest import find_tool
from tests.repositories import learner
from tests.texts import replaced

TODAY = date(2026, 11, 25)
MOMENT = "2026-11-25T21:00:00+00:00"
# Recipients have any length: those of post-quantum keys have two thousand characters.
OLD, NEW, OTHER = "age1old", "age1" + "n" * 1900, "age1other"
CIPHER = "ENC[AES256_GCM,data:YQ==,iv:{},tag:{},type:str]".format("A" * 43 + "=", "A" * 22 + "==")


def encrypted(
    *recipients: str, name: str = "backend", kind: str = "Opaque", wrapped: str = "x", **data: str
) -> str:
    """Return an encrypted Secret with the values in `data`."""
    lines = ["apiVersion: v1", "kind: Secret", f"metadata: {{name: {name}}}", f"type: {kind}"]
    lines += ["data:", *(f"  {key}: {value}" for key, value in (data or {"KEY": CIPHER}).items())]
    lines += ["sops:", "  age:"]
    for recipient in recipients:
        lines += [f"  - recipient: {recipient}", f"    enc: {wrapped}-{recipient[:8]}"]
    lines += [f"  mac: {CIPHER}", "  encrypted_regex: ^(data|stringData)$", "  version: 3.13.2"]
    return "\n".join(lines) + "\n"


def version(rules: str = "", **texts: str) -> Version:
    files = {f"flux/{name}.yaml": f"blob-{name}" for name in texts}
    blobs = {f"blob-{name}": text for name, text in texts.items()}
    return Version("c" * 40, files, blobs, rules)


def rotation(cause: Cause = Cause.LEARNER_KEY, **changes: Any) -> Rotation:
    return replace(Rotation("2026-11-25-test", cause, TODAY, ("ada",)), **changes)


def test_an_order_names_the_successor_and_makes_up_each_value_once() -> None:
    ada, change = at_seat(learner("ada")), Change(OLD, NEW, "instructor", "next/ada")
    before = version(a=encrypted(OLD, OTHER, NEW))
    now = replace(
        version(a=encrypted(OLD, OTHER, NEW), b=encrypted(OLD, name="b")), commit="d" * 40
    )
    start, main = (plan_version(rotation(), one, old=OLD, given=()) for one in (before, now))
    order = draw_up(ada, change, {}, start=start, main=main)
    assert order.start is not None and order.main is not None
    (common,) = order.start.files
    # A file that start and main have in common becomes the same in both.
    assert order.main.files[0] == common
    assert common.recipients == tuple(sorted({NEW, OTHER}))
    assert order.fresh == ["backend/KEY", "b/KEY"]
    values = [value.text for file in order.main.files for value in file.values]
    assert len(set(values)) == 2 and not any(value in repr(order) for value in values)


def test_an_order_for_a_learner_who_has_done_nothing_is_one_commit() -> None:
    ada, change = at_seat(learner("ada")), Change(OLD, NEW, "instructor", "next/ada")
    plan = plan_version(rotation(), version(a=encrypted(OLD)), old=OLD, given=())
    order = draw_up(ada, change, {}, start=plan, main=plan)
    assert order.start == order.main


def test_an_order_has_what_a_human_gave_and_nothing_for_a_version_that_stays() -> None:
    ada, change = at_seat(learner("ada")), Change(None, None, "ada", "ada")
    found, given = version(a=encrypted(OTHER)), {"backend/KEY": "by hand"}
    leaked = rotation(Cause.VALUE_EXPOSED, exposed=("backend",))
    plan = plan_version(leaked, found, old=None, given=list(given))
    order = draw_up(ada, change, given, start=replace(plan, files=()), main=plan)
    assert order.start is None and order.main is not None and order.fresh == []
    ((value,),) = (file.values for file in order.main.files)
    assert (value.leaf, value.text, value.fresh) == (Leaf("data", "KEY"), "by hand", False)


def test_a_key_changes_exactly_the_files_that_are_encrypted_to_it() -> None:
    found = version(f"age: {OLD}", a=encrypted(OLD, OTHER), b=encrypted(OTHER), plain="a: 1\n")
    plan = plan_version(rotation(), found, old=OLD, given=())
    assert [file.path for file in plan.files] == ["flux/a.yaml"]
    assert plan.rules
    (file,) = plan.files
    assert (file.blob, file.secret) == ("blob-a", "backend")
    assert (file.fresh, file.given, file.human) == ((Leaf("data", "KEY"),), (), ())
    assert set(file.recipients) == {OLD, OTHER}
    again = version(f"age: {NEW}", a=encrypted(NEW, OTHER), b=encrypted(OTHER))
    assert plan_version(rotation(), again, old=OLD, given=()).empty


@pytest.mark.parametrize(
    ("exposed", "keys"), [(("backend",), ["A", "B"]), (("backend/B",), ["B"]), (("other",), [])]
)
def test_a_value_changes_where_it_is_named(exposed: tuple[str, ...], keys: list[str]) -> None:
    found = version(f"age: {OLD}", a=encrypted(OLD, A=CIPHER, B=CIPHER))
    about = rotation(Cause.VALUE_EXPOSED, exposed=exposed)
    plan = plan_version(about, found, old=None, given=())
    assert [leaf.key for file in plan.files for leaf in file.fresh] == keys
    assert not plan.rules
    done = replace(found, noted=True)
    assert plan_version(about, done, old=None, given=()).empty
    given = plan_version(about, done, old=None, given=("backend/A",))
    assert [leaf.key for file in given.files for leaf in file.given] == ["A"]


def test_what_is_checked_by_who_uses_it_is_left_to_a_human() -> None:
    found = version(a=encrypted(OLD, kind="kubernetes.io/tls", KEY=CIPHER, CRT=CIPHER))
    (file,) = plan_version(rotation(), found, old=OLD, given=("backend/CRT",)).files
    assert (file.fresh, file.given) == ((), (Leaf("data", "CRT"),))
    assert file.human == (Leaf("data", "KEY"),)


def test_an_empty_value_is_no_value() -> None:
    found = read_encrypted(encrypted(OLD, KEY='""', OTHER=CIPHER))
    assert found is not None and found.leaves == (Leaf("data", "OTHER"),)


def test_only_a_secret_by_itself_is_read_as_one() -> None:
    alone = read_encrypted(encrypted(OLD))
    assert alone is not None and (alone.secret, alone.exposed) == ("backend", False)
    listing = replaced(encrypted(OLD), "kind: Secret", "kind: ConfigMap")
    for text in (encrypted(OLD) + "---\n" + encrypted(OLD), listing):
        found = read_encrypted(text)
        assert found is not None and not found.exposed
        assert not (found.secret or found.leaves)
        bare = read_encrypted(text.replace(f"KEY: {CIPHER}", "KEY: hunter2"))
        assert bare is not None and bare.exposed


def test_a_spliced_file_has_the_values_that_the_present_one_has() -> None:
    written = {
        "null": None, "true": True, "Yes": True, "ON": True, "false": False, "12": 12, "-7": -7,
        "1.5": "1.5", '"12"': "12", "word": "word", "[1, a]": [1, "a"],
        # Python's `int` refuses these, which would end a rotation for the whole class.
        "1" * 5000: "1" * 5000, "!!int ²": "²", "!!int --1": "--1",
    }  # fmt: skip
    fields = "".join(f"v{number}: {text}\n" for number, text in enumerate(written))
    spliced = splice(fields + encrypted(NEW), encrypted(OLD), OLD)
    assert spliced is not None
    found = json.loads(spliced)
    assert [found[f"v{number}"] for number in range(len(written))] == list(written.values())


def test_values_are_read_from_both_sections_and_before_an_empty_document() -> None:
    found = read_encrypted(
        replaced(encrypted(OLD, KEY=CIPHER), "\ndata:", "\nstringData:") + "---\n"
    )
    assert found is not None and found.leaves == (Leaf("stringData", "KEY"),)


def test_what_is_wrong_afterwards_is_told() -> None:
    good = version(a=encrypted(NEW, OTHER))
    assert faults(good, old=OLD, new=NEW) == []
    assert faults(version(a=encrypted(OLD, NEW)), old=OLD, new=NEW) == [
        "flux/a.yaml is still encrypted to the old key"
    ]
    assert faults(version(a=encrypted(OTHER)), old=OLD, new=NEW) == [
        "flux/a.yaml is not encrypted to the new key"
    ]
    assert faults(version(a=encrypted(NEW, KEY="plain")), old=OLD, new=NEW) == [
        "flux/a.yaml holds a value in plain text"
    ]


def test_what_is_too_much_to_be_read_is_refused_and_no_end() -> None:
    large = Version("d" * 40, large=True)
    assert faults(large, old=None, new=None) == [LARGE]
    found = rotation_plan(rotation(), RepositoryState(main="d" * 40), large, OLD)
    assert found == [LARGE] and "more than 200 encrypted files" in LARGE


def test_what_was_too_much_to_be_read_is_still_told_from_what_replaced_it() -> None:
    before = replace(version(a=encrypted(OLD), b=encrypted(OLD, name="b")), texts={}, large=True)
    assert list(before.encrypted()) == []
    after = version(a=encrypted(OLD), b=encrypted(OLD, name="b"))
    after = replace(after, files={**after.files, "flux/b.yaml": "another"},
                    texts={**after.texts, "another": encrypted(NEW, name="b")})  # fmt: skip
    assert rotated_files(before, after) == ["flux/b.yaml"]
    (sentence,) = still_exposed(before, after, ("backend", "b"))
    assert sentence.startswith("flux/a.yaml is as it was")


def test_names_that_nothing_has_are_told() -> None:
    found = version(a=encrypted(OLD))
    named = ("backend", "backend/KEY", "backend/NO", "no")
    assert unknown_values(found, named) == ["backend/NO", "no"]


def test_files_that_came_later_were_not_rotated() -> None:
    before = version(a="1", b="2")
    after = Version("d" * 40, {"flux/a.yaml": "blob-other", "flux/b.yaml": "blob-b", "c": "blob"})
    assert rotated_files(before, after) == ["flux/a.yaml"]


def test_what_is_as_it_was_is_still_exposed() -> None:
    before = version(a=encrypted(OLD), b=encrypted(OLD, name="b"))
    files = {**before.files, "flux/b.yaml": "another"}
    texts = {**before.texts, "another": encrypted(OLD, name="b")}
    after = replace(before, files=files, texts=texts)
    (sentence,) = still_exposed(before, after, ("backend/KEY", "b"))
    assert sentence.startswith("flux/a.yaml is as it was")
    assert still_exposed(before, after, ("b/KEY",)) == still_exposed(before, after, ()) == []
    moved = replace(before, files={"flux/moved.yaml": "blob-a"})
    (sentence,) = still_exposed(before, moved, ("backend",))
    assert sentence.startswith("flux/moved.yaml is as it was")
    # What came later had nothing that could have leaked before.
    assert still_exposed(version(), after, ("backend",)) == []


def test_what_remains_is_said_without_a_value() -> None:
    (sentence,) = remains("ada/lab", version(), [f"flux/{n}.yaml" for n in range(7)], OLD)
    assert "up to commit cccccccccccc" in sentence and "and 2 more" in sentence
    assert "4.yaml" in sentence and "5.yaml" not in sentence
    assert remains("ada/lab", version(), [], OLD) == []
    (sentence,) = remains("ada/lab", version(), [f"flux/{n}.yaml" for n in range(5)], OLD)
    assert "of 0.yaml, 1.yaml, 2.yaml, 3.yaml, 4.yaml, for" in sentence
    (sentence,) = remains("ada/lab", version(), [f"flux/{n}.yaml" for n in range(6)], OLD)
    assert "and 1 more" in sentence


def test_what_remains_is_said_with_the_key_that_reads_it_if_there_is_one() -> None:
    (sentence,) = remains("ada/lab", version(), ["flux/a.yaml"], NEW)
    assert NEW[:16] in sentence and NEW[:17] not in sentence
    (sentence,) = remains("ada/lab", version(), ["flux/a.yaml"], None)
    assert "the key" not in sentence and "None" not in sentence


def test_what_is_put_on_record_can_be_read_again_however_long_names_are() -> None:
    long = [f"flux/{number}{'x' * 240}.yaml" for number in range(5)]
    endless = [f"flux/{'y' * 5000}.yaml"]
    about = rotation(
        remains={str(n): tuple(remains("ada/lab", version(), files, OLD))
                 for n, files in enumerate((long, endless))},
        pending={"ada": (f"{'n' * 253}/{'k' * 253}",)},
    )  # fmt: skip
    recorded = incident_of(about, None, TODAY)
    assert parse_incident(incident_path(recorded.id), render_incident(recorded)) == recorded
    assert "x.yaml" in recorded.remains[0] and "of a file, for" in recorded.remains[1]


def test_a_name_that_no_secret_has_is_told_from_others() -> None:
    for name, misnamed in (
        ("backend", False), ("n" * 253, False), ("n" * 254, True), (r'"a\nb"', True),
    ):  # fmt: skip
        found = read_encrypted(encrypted(OLD, name=name))
        assert found is not None and found.misnamed is misnamed
    found = read_encrypted(encrypted(OLD, **{"k" * 254: CIPHER}))
    assert found is not None and found.misnamed


def test_what_sops_would_ask_a_service_for_is_not_given_to_it() -> None:
    own = "age1" + "q" * 58
    asking = replaced(encrypted(own), "sops:\n", "sops:\n  kms:\n  - arn: arn:aws:kms:x\n")
    plan = plan_version(rotation(), version(a=encrypted(own), b=asking), old=own, given=())
    assert "flux/b.yaml has a recipient that is not age's (kms)" in str(asks_elsewhere(plan))
    good = plan_version(rotation(), version(a=encrypted(own)), old=own, given=())
    assert asks_elsewhere(good) is None


# The attack


def test_a_splice_takes_the_data_key_of_one_recipient_and_leaves_the_rest() -> None:
    attack = splice(
        encrypted(NEW, OTHER, wrapped="now"), encrypted(OLD, OTHER, wrapped="then"), OLD
    )
    assert attack is not None
    block = json.loads(attack)["sops"]
    assert [one["recipient"] for one in block["age"]] == [OLD]
    assert block["age"][0]["enc"].startswith("then")
    assert block["mac"] == CIPHER and json.loads(attack)["data"] == {"KEY": CIPHER}


@pytest.mark.parametrize("past", [encrypted(OTHER), "a: 1\n", "", "{", "- 1\n"])
def test_there_is_no_splice_without_that_recipient(past: str) -> None:
    assert splice(encrypted(NEW), past, OLD) is None


def test_of_a_former_file_only_the_data_keys_are_read() -> None:
    now, past = encrypted(NEW), encrypted(OLD)
    rows = ["x: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for name, below in ("ba", "cb", "dc"):
        rows.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]")
    more = replaced(past, f"- recipient: {OLD}\n", f"- recipient: {OLD}\n    more: *d\n")
    more = replaced(more, "  mac:", f"  - {{recipient: {OTHER}, enc: y}}\n  mac:")
    assert splice(now, "\n".join([*rows, more]), OLD) == splice(now, past, OLD) is not None
    for text in ("x: " + "[" * 600 + "]" * 600, more):
        assert splice(now, text, OLD) is None


def test_a_data_key_that_is_listed_often_is_put_in_once() -> None:
    entry = f"{{recipient: {OLD}, enc: x}}"
    often = f"sops:\n  age: [&a {entry}, {', '.join(['*a'] * 999)}, {entry}]\n"
    attack = splice(encrypted(NEW), often, OLD)
    assert attack is not None
    assert json.loads(attack)["sops"]["age"] == [{"recipient": OLD, "enc": "x"}]


def test_an_empty_document_hides_no_file_from_the_attack() -> None:
    now, past = encrypted(NEW), encrypted(OLD)
    assert splice(f"---\n---\n{now}", f"---\n---\n{past}", OLD) == splice(now, past, OLD)


@pytest.mark.parametrize(
    ("more", "why"),
    [("x: &a [1]\ny: *a\n", "has aliases"), (f"x: {'[' * 600}{']' * 600}\n", "nested too deeply")],
)
def test_a_present_file_that_cannot_be_attacked_is_named(more: str, why: str) -> None:
    now = version(a=encrypted(NEW) + more)
    before = replace(version(a=encrypted(OLD)), files={"flux/a.yaml": "blob-before"})
    change = Change(None, None, "ada", "ada", gone=True)
    outcome = Outcome(at_seat(learner("ada")), before, now, change)
    with pytest.raises(Undecidable, match=f"flux/a.yaml .*{why}"):
        list(_attempts(outcome, {"flux/a.yaml": [encrypted(OLD)]}, OLD, "identity"))
    assert list(_attempts(outcome, {"flux/a.yaml": [encrypted(OTHER)]}, OLD, "identity")) == []


# What is remembered


def test_a_rotation_begins_with_what_is_asked_for(lab: Callable[..., Settings]) -> None:
    settings = lab(cause="learner-key", incident="2026-11-25-test")
    people = [at_seat(learner("ada")), at_seat(learner("bob"))]
    earliest = datetime.now(UTC).date()
    begun = begin_rotation(settings, people, ["backend/A"])
    assert earliest <= begun.opened <= datetime.now(UTC).date()
    assert begun == Rotation(
        "2026-11-25-test", Cause.LEARNER_KEY, begun.opened, ("ada", "bob"), ("backend/A",)
    )


def test_a_rotation_without_an_incident_or_a_cause_is_none(lab: Callable[..., Settings]) -> None:
    assert begin_rotation(lab(cause="learner-key"), [], []).incident == ""
    with pytest.raises(ValueError, match="not a valid Cause"):
        begin_rotation(lab(incident="2026-11-25-test"), [], [])


def test_a_rotation_is_remembered_as_it_is() -> None:
    about = rotation(
        heads={"ada": "c" * 40},
        retiring={"ada": OLD},
        pending={"ada": ("backend/KEY",)},
        remains={"ada": ("for ever",)},
        proven=("ada",),
    ).ended(Phase.INVENTORY, MOMENT)
    assert about.phases == {"inventory": MOMENT}
    assert parse_rotation("a.yaml", render_rotation(about)) == about
    assert not about.over
    assert replace(about, pending={}).over


def test_it_is_over_for_everybody_or_not_at_all() -> None:
    about = rotation(subjects=("ada", "bob"))
    assert not about.with_proof(["bob"]).over
    assert about.with_proof(["bob"]).with_proof(["ada"]).proven == ("ada", "bob")


def test_the_incident_is_opened_told_and_closed() -> None:
    about = rotation(remains={"ada": ("for ever",)}, phases={"files": "t2", "inventory": "t1"})
    opened = incident_of(about, None, TODAY)
    assert (opened.id, opened.closed, opened.subjects) == ("2026-11-25-test", None, ("ada",))
    assert list(opened.rotation) == ["inventory", "files"]
    assert opened.remains == ("for ever",)
    over = replace(about.with_proof(["ada"]), phases={**about.phases, "proven": "t3"})
    assert incident_of(over, opened, TODAY).closed == TODAY


def test_what_only_a_human_can_do_keeps_it_open() -> None:
    known = Incident(
        "2026-11-25-test", Cause.LEARNER_KEY, ("ada",), TODAY, upstream=(Upstream("the bank"),)
    )
    over = rotation(phases={"proven": "t3"}).with_proof(["ada"])
    assert incident_of(over, known, TODAY).closed is None
    waiting = replace(over, pending={"ada": ("backend/KEY",)})
    told = incident_of(waiting, None, TODAY)
    assert told.closed is None
    assert "backend/KEY of ada" in told.unrevoked[0]
    assert incident_of(over, told, TODAY).closed == TODAY


def test_a_value_that_was_pending_in_other_words_is_still_the_same() -> None:
    waiting = rotation(pending={"ada": ("backend/KEY",)})
    told = incident_of(waiting, None, TODAY)
    former = Upstream(f"{told.unrevoked[0]}: `sopslab rotate … --value backend/KEY`")
    known = replace(told, upstream=(Upstream("the bank"), former))
    assert incident_of(waiting, known, TODAY).upstream == (Upstream("the bank"), *told.upstream)


def test_the_record_passes_the_policy_that_guards_its_repository(tmp_path: Path) -> None:
    about = rotation(
        pending={"ada": ("backend/password",)},
        remains={"ada": tuple(remains("ada/lab", version(), ["flux/backend.yaml"], OLD))},
    )
    for cause, phases in PHASES.items():
        told = replace(about, cause=cause, phases=dict.fromkeys(map(str, phases), MOMENT))
        (tmp_path / f"{cause}.yaml").write_text(render_incident(incident_of(told, None, TODAY)))
    done = subprocess.run(
        [sys.executable, "-m", "sopslab.policy", "check", str(tmp_path)],
        env={"PATH": os.environ["PATH"], "SOPSLAB_GITLEAKS": find_tool("gitleaks")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_every_cause_has_phases_and_every_phase_a_meaning() -> None:
    assert set(PHASES) == set(Cause)
    assert set(MEANING) == set(Phase)
    for phases in PHASES.values():
        assert phases[0] is Phase.INVENTORY and phases[-1] is Phase.PROVEN


def test_some_causes_replace_identities_and_some_only_values() -> None:
    keys = {Cause.LEARNER_KEY, Cause.CLUSTER_KEY, Cause.INSTRUCTOR_KEY}
    assert {cause for cause in Cause if replaces_keys(cause)} == keys
    assert {cause for cause in Cause if touches_files(cause)} == {*keys, Cause.VALUE_EXPOSED}


@pytest.mark.parametrize(
    ("held", "present", "former"),
    [
        ([OLD, OTHER], NEW, OLD),
        ([OLD, OTHER], None, None),
        ([OLD, OTHER, NEW], NEW, None),
        ([OLD], NEW, None),
        ([OTHER], NEW, None),
        ([OLD, OTHER, "age1third"], NEW, None),
    ],
    ids=["another", "unknown", "present", "not-ours", "alone", "two"],
)
def test_the_instructors_former_recipient_is_the_only_one_beside_the_learners(
    held: list[str], present: str | None, former: str | None
) -> None:
    assert former_recipient(held, OTHER, present) == former


def test_the_instructors_successor_changes_recipients_and_no_value() -> None:
    former = "age1" + "q" * 58
    asking = replaced(encrypted(former), "sops:\n", "sops:\n  kms:\n  - arn: arn:aws:kms:x\n")
    found = version(f"age: {former}", a=encrypted(former), b=encrypted(OTHER), c=asking)
    plan = plan_succession(found, former)
    assert (plan.commit, plan.rules) == (found.commit, True)
    one, other = plan.files
    assert (one.path, one.blob, one.secret) == ("flux/a.yaml", "blob-a", "backend")
    assert (one.fresh, one.given, one.human) == ((), (), ())
    assert (one.recipients, one.foreign) == ((former,), frozenset())
    assert other.path == "flux/c.yaml" and asks_elsewhere(plan) is not None
    assert plan_succession(version(f"age: {OTHER}", b=encrypted(OTHER)), former).empty


def test_values_that_a_human_gives_arrive_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"backend/KEY": "bärenfett\n", "other/KEY": "a"}
    monkeypatch.setattr("sys.stdin", io.StringIO(render_values(given)))
    assert read_values(["backend/KEY"]) == {"backend/KEY": "bärenfett\n"}
    monkeypatch.setattr("sys.stdin", None)
    assert read_values([]) == {}


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("hunter2", "a JSON object of values is needed"),
        ('["hunter2"]', "backend/KEY: no value was given"),
        ('{"backend/KEY": 7, "other": "hunter2"}', "backend/KEY: no value was given"),
    ],
    ids=["no-json", "no-object", "no-text"],
)
def test_values_that_cannot_be_read_are_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, read: str, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(read))
    with pytest.raises(InputError, match=said) as refused:
        read_values(["backend/KEY"])
    assert "hunter2" not in str(refused.value)


def test_the_settings_know_the_same_causes() -> None:
    annotation: Any = Settings.model_fields["cause"].annotation
    named = {one for part in get_args(annotation) for one in get_args(part)}
    assert named == {str(cause) for cause in Cause}
