"""A rotation on a host that only answers, as long as nothing was replaced and afterwards: the steps
of each cause, and the environments that are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from sopslab.config.settings import Settings, load_settings
from sopslab.incidents.rotation.phases import PHASES
from sopslab.incidents.rotation.plan import Version
from sopslab.incidents.rotation.record import Rotation, render_rotation
from sopslab.lab.observe.leaked import record_file, rotation_record
from sopslab.lab.observe.roster import recorded_roster
from sopslab.layout import PROJECT
from sopslab.model.decryption import SecretDrift
from sopslab.model.identities import IdentityState
from sopslab.model.incidents import Cause
from sopslab.model.repositories import RepositoryState
from sopslab.model.rotation import LiveValue
from tests import repositories
from tests.fake import Answers, Run, look_text
from tests.machines import said

# Ended long ago.
OVER = {"expires": "2026-01-01T00:00:00Z", "suspended": "2026-01-01T00:00:00Z", "grace": 366}
ROTATE = PROJECT / "deploys" / "rotate.py"
INCIDENT = "2026-11-25-test"
OLD, NEW = (f"age1{letter * 58}" for letter in "qp")
BEFORE, AFTER = "1" * 40, "2" * 40
PATH = "flux/backend.yaml"
SECRET = """apiVersion: v1
kind: Secret
metadata: {{name: backend}}
data:
  PASSWORD: ENC[AES256_GCM,data:YQ==,iv:{iv}=,tag:{tag}==,type:str]
sops:
  age: [{{recipient: {recipient}, enc: wrapped}}]
  mac: ENC[AES256_GCM,data:YQ==,iv:{iv}=,tag:{tag}==,type:str]
  encrypted_regex: ^(data|stringData)$
  version: 3.13.2
"""
# What is changed in each step; it also ends phases, and tells the incident's record.
BEGUN = ["Inventory | Note what is replaced"]
GIVEN = [
    "Keys | Tell the Git server the recipients",
    "Keys | Let Flux come to its end",
    "Keys | Give the cluster the identities of the store",
    "Keys | Let Flux come to its end",
]
FOLLOWED = ["Keys | Make the identities that follow", *GIVEN]
REPLACED = [
    "Files | Re-encrypt what leaked",
    "Flux | Have Flux apply the repositories",
    "Flux | Compare the cluster with the files",
    "Flux | Restart what has read an old value",
]
RETIRED = ["Keys | Archive the identities that leaked", *GIVEN]
LOGINS = [
    "Access | Replace the passwords that leaked",
    "Access | Give Flux the Secrets of 3 environments",
]
DECRYPTED = ["Proof | Have Flux decrypt once more", "Proof | Have Flux apply the repositories"]
OPENED = ["Proof | Prove that what leaked opens nothing"]
REFUSED = ["Proof | Prove that the old passwords are refused"]
OVER_FOR = ["Inventory | Note for whom it is over"]
KEY = [*BEGUN, *FOLLOWED, *REPLACED, *RETIRED, *DECRYPTED, *OPENED, *OVER_FOR]
STEPS = {
    Cause.VALUE_EXPOSED: [*BEGUN, *REPLACED, *DECRYPTED, *OPENED, *OVER_FOR],
    Cause.LEARNER_KEY: KEY,
    Cause.CLUSTER_KEY: KEY,
    Cause.INSTRUCTOR_KEY: KEY,
    Cause.GIT_CREDENTIAL: [*BEGUN, *LOGINS, *DECRYPTED, *REFUSED, *OVER_FOR],
}
# What is awaited of Flux and the cluster, by the looks that ask for it.
APPLIED = {"deliveries", "canary_states"}
ARRIVED = {"live_values", "old_consumers"}
AWAITED = {
    Cause.VALUE_EXPOSED: APPLIED | ARRIVED,
    Cause.LEARNER_KEY: APPLIED | ARRIVED | {"settling_objects"},
    Cause.CLUSTER_KEY: APPLIED | ARRIVED | {"settling_objects"},
    Cause.INSTRUCTOR_KEY: APPLIED | ARRIVED | {"settling_objects"},
    Cause.GIT_CREDENTIAL: APPLIED,
}
Data = Callable[..., dict[str, Any]]


def version(commit: str, recipient: str, *, noted: bool = False) -> Version:
    text = SECRET.format(recipient=recipient, iv=commit[0] * 43, tag=commit[0] * 22)
    return Version(commit, {PATH: commit}, {commit: text}, f"age: {recipient}", noted)


def begun(cause: Cause, seats: Sequence[str], exposed: Sequence[str]) -> Rotation:
    """Return a rotation for seats of which nothing was replaced yet."""
    leaked = ["instructor"] if cause is Cause.INSTRUCTOR_KEY else seats
    return Rotation(
        INCIDENT,
        cause,
        date(2026, 11, 25),
        tuple(seats),
        tuple(exposed),
        heads=dict.fromkeys(seats, BEFORE),
        retiring=dict.fromkeys(leaked, OLD) if cause.endswith("-key") else {},
    )


def answers(settings: Settings, cause: Cause, seats: Sequence[str]) -> Answers:
    """Return the answers of a host on which each of these seats has an encrypted file, a workload
    that reads it, and Secrets in the cluster that are not the host's.

    A rotation that was recorded, an identity that was made or archived, and a file that was
    encrypted again are found from then on.
    """
    before = version(BEFORE, OLD)
    after = version(AFTER, NEW if cause.endswith("-key") else OLD, noted=True)

    def each(value: object) -> str:
        return said(dict.fromkeys(seats, value))

    def repositories(commit: str) -> dict[str, str]:
        state = RepositoryState(main=commit, target=commit)
        return {"…observe.checkpoints.repository_states": each(state)}

    def identities(recipient: str, following: str | None) -> dict[str, str]:
        states = {
            name: IdentityState(one, one)
            for key in (*seats, "instructor")
            for name, one in ((key, recipient), (f"next/{key}", following))
        }
        return {"…observe.identities.identity_states": said(states)}

    record = look_text(settings, rotation_record, incident=INCIDENT)
    return Answers(
        {
            **repositories(BEFORE),
            **identities(OLD, None),
            "…observe.encrypted.encrypted_versions": each({BEFORE: before, AFTER: after}),
            "…observe.encrypted.past_versions": each({PATH: [before.texts[BEFORE]]}),
            "…observe.settling.settling_objects": said(list(seats)),
            "…observe.live.live_values": each({PATH: LiveValue.DIFFERS}),
            "…observe.live.old_consumers": each(["deployment/web"]),
            "…observe.host_secrets.secrets_drift": each(SecretDrift.DIFFERS),
            "…observe.leaked.archived_identities": said({OLD: "/archive/old.agekey"}),
        },
        {
            (record_file(settings, INCIDENT), 'mv "$1.new"'): {
                record: said(render_rotation(begun(cause, seats, settings.exposed)))
            },
            ("act.identities.generate",): identities(OLD, NEW),
            ("act.reencryption.reencrypt",): repositories(AFTER),
            ("act.retirement.retire",): identities(NEW, None),
        },
        {"there is no environment of joe": "refused"},
    )


def run(
    lab_data: Data,
    cause: Cause,
    *learners: str,
    seats: int,
    over: Sequence[str] = (),
    record: str | None = None,
) -> Run:
    """Rotate for learners of a class.

    + over: the seats whose access has ended
    + record: the record of the rotation, None if it has not begun
    """
    exposed = ["backend"] if cause is Cause.VALUE_EXPOSED else []
    data = lab_data(cause=cause, incident=INCIDENT, learners=list(learners), exposed=exposed)
    settings = load_settings(data)
    roster = [one | (OVER if one["id"] in over else {}) for one in repositories.seats(seats)]
    known = answers(settings, cause, [one for one in learners if one != "joe"])
    known[look_text(settings, recorded_roster)] = json.dumps(json.dumps(roster))
    if record is not None:
        known[look_text(settings, rotation_record, incident=INCIDENT)] = said(record)
    return Run(ROTATE, data, known)


def asked(run: Run, what: str, seat: str) -> bool:
    """Return whether a look is asked about a seat."""
    return any(f".{what} " in command and f"{seat}/lab" in command for command in run.commands)


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_has_the_steps_that_it_needs(lab_data: Data, cause: Cause) -> None:
    done = run(lab_data, cause, "s0", "s1", seats=2)
    assert not done.failed
    assert not any("act.failures.record" in command for command in done.commands)
    ends = [name for name in done.changed if "the end of the phase" in name]
    record = "Inventory | Put the incident on record"
    others = [name for name in done.changed if name not in (*ends, record)]
    assert others == STEPS[cause]
    assert [name.rpartition(" ")[2] for name in ends] == list(PHASES[cause])
    assert done.changed.count(record) == 2 and done.changed[-1] == record


def test_nothing_is_done_for_another_seat(lab_data: Data) -> None:
    done = run(lab_data, Cause.LEARNER_KEY, "s1", seats=3)
    assert not done.failed

    def named(seat: str) -> bool:
        names = (f"{seat}-develop", f"lab-{seat}-sys", f"{seat}/lab.git")
        return any(name in one.text for one in done.given for name in names)

    assert named("s1") and not named("s0") and not named("s2")


@pytest.mark.parametrize("cause", list(Cause))
def test_files_of_whose_access_has_ended_change_and_nothing_is_awaited(
    lab_data: Data, cause: Cause
) -> None:
    done = run(lab_data, cause, "s0", "s1", seats=2, over=["s0"])
    assert not done.failed
    for what in APPLIED | ARRIVED | {"settling_objects"}:
        assert asked(done, what, "s1") is (what in AWAITED[cause]), what
        assert not asked(done, what, "s0"), what
    of_files = cause is not Cause.GIT_CREDENTIAL
    for what in ("repository_states", "encrypted_versions", "past_versions"):
        assert asked(done, what, "s0") is asked(done, what, "s1") is of_files, what


def test_the_number_of_commands_does_not_grow_with_the_seats(lab_data: Data) -> None:
    few = run(lab_data, Cause.CLUSTER_KEY, "s0", "s1", seats=2)
    many = run(lab_data, Cause.CLUSTER_KEY, *(f"s{one}" for one in range(40)), seats=40)
    assert not few.failed and not many.failed
    assert set(KEY) <= set(few.changed) and few.changed == many.changed
    assert len(many.commands) == len(few.commands)


def test_whoever_has_no_environment_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done = run(lab_data, Cause.LEARNER_KEY, "s1", "joe", seats=3)
    assert done.failed
    assert done.changed == []
    assert done.unchanged == ["Version | Check the lab's format", "Inventory | Begin a rotation"]


def test_a_record_that_is_damaged_ends_the_run_before_anything_is_done(lab_data: Data) -> None:
    done = run(lab_data, Cause.LEARNER_KEY, "s1", seats=2, record="subjects: 7\n")
    assert done.failed
    assert done.changed == []
