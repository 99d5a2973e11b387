"""What a rotation does in the cluster, which answers with recorded objects here, and to
passwords."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.incidents.rotation.record import Rotation, render_rotation
from sopslab.lab.act import convergence
from sopslab.lab.observe.clones import clone_standing
from sopslab.lab.observe.encrypted import encrypted_versions
from sopslab.lab.observe.leaked import archived_identities, leaked_logins
from sopslab.lab.observe.live import live_values, old_consumers
from sopslab.lab.observe.objects import all_kustomizations, all_sources
from sopslab.lab.observe.settling import settling_objects
from sopslab.lab.observe.suspension import left_by_a_rotation, suspended_among
from sopslab.model.incidents import Cause
from sopslab.model.results import Undecided
from sopslab.model.rotation import Delivered, LiveValue
from sopslab.model.suspension import Suspended
from sopslab.provision.operations import logins, rotation, suspension
from sopslab.provision.operations.logins import logins_dir
from tests.commands import failures
from tests.conftest import find_tool
from tests.fake import Applied
from tests.repositories import begin_repository, commit, learner, make_identity
from tests.texts import write_files, write_program

INCIDENT = "2026-11-25-test"
ADA = at_seat(learner("ada"))
# Answers with the list of a kind; of Secrets, it can also print the columns that are asked for. As
# often as $here/busy has lines, no Kustomization is ready. What is annotated is recorded. A kind is
# refused in the words of $here/<kind>.refused.
STAND_IN = """#!/bin/sh
here=$(dirname "$0")
kind=$(echo "$*" | sed -n 's/.* get \\([a-z]*\\) .*/\\1/p')
[ ! -e "$here/$kind.refused" ] || { cat "$here/$kind.refused" >&2; exit 1; }
case "$*" in
*" annotate "*) echo "$*" >"$here/annotated"; cat >"$here/asked.json" ;;
*custom-columns*) jq -r '.items[] | "\\(.metadata.namespace)   \\(.metadata.resourceVersion)"' \\
    "$here/secrets.json" ;;
*/secrets*) cat "$here/secrets.json" ;;
*kustomizations*)
    if [ -s "$here/busy" ]; then
        sed -i 1d "$here/busy"
        jq 'del(.items[].status.conditions)' "$here/kustomizations.json"
    else
        cat "$here/kustomizations.json"
    fi ;;
*gitrepositories*) echo '{"items": []}' ;;
*" deployments "*) cat "$here/workloads.json" ;;
*" statefulsets "*|*" daemonsets "*) echo '{"items": []}' ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    """A lab whose cluster answers with what `having` sets."""
    return answered_by(STAND_IN, "sops", "age-keygen", cause="git-credential", incident=INCIDENT)


def having(settings: Settings, **kinds: list[dict[str, Any]]) -> None:
    for kind, items in kinds.items():
        (Path(settings.bin_dir) / f"{kind}.json").write_text(json.dumps({"items": items}))


def kustomization(version: str, **changes: Any) -> dict[str, Any]:
    status = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"namespace": "lab-ada-sys", "name": "secrets-develop", "resourceVersion": version}
    return {
        "kind": "Kustomization",
        "metadata": {**metadata, "generation": 1, **changes.get("metadata", {})},
        "status": {**status, **changes.get("status", {})},
    }


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        (kustomization("101"), True),
        # Flux knows nothing yet about a key that is newer than its last report.
        (kustomization("99"), False),
        (kustomization("101", status={"conditions": []}), False),
        (kustomization("101", status={"observedGeneration": 0}), False),
        (
            kustomization(
                "101", metadata={"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}},
                status={"lastHandledReconcileAt": "before"},
            ),
            False,
        ),
    ],
)  # fmt: skip
def test_flux_is_done_with_a_key_when_it_has_reported_since(
    settings: Settings, found: dict[str, Any], settled: bool
) -> None:
    key = {"metadata": {"namespace": "lab-ada-sys", "name": "sops-age", "resourceVersion": "100"}}
    having(settings, secrets=[key], kustomizations=[found])
    assert settling_objects(settings.for_machine, environments=[ADA]) == (
        [] if settled else ["ada"]
    )


@pytest.fixture
def busy(settings: Settings) -> Path:
    """The file of a cluster that says how often Ada's Kustomization is still not ready."""
    having(settings, secrets=[], kustomizations=[kustomization("101")])
    return Path(settings.bin_dir) / "busy"


def test_flux_comes_to_its_end_before_it_is_told_anything_else(
    settings: Settings, busy: Path
) -> None:
    busy.write_text("\n" * 3)
    convergence.settle(settings.for_machine, [ADA])
    assert busy.read_text() == ""


def test_whoever_is_not_asked_for_is_not_waited_for(settings: Settings, busy: Path) -> None:
    busy.write_text("\n" * 3)
    convergence.settle(settings.for_machine, [at_seat(learner("bob"))])
    assert busy.read_text() == "\n" * 2


def test_flux_is_not_waited_for_for_ever_and_nobody_fails_by_that(
    settings: Settings, busy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convergence, "_SETTLING_S", 0.1)
    busy.write_text("\n" * 1000)
    convergence.settle(settings.for_machine, [ADA])
    assert busy.read_text()
    assert not (Path(settings.class_dir) / "failed").exists()


def test_flux_is_asked_to_decrypt_again_and_not_to_fetch(settings: Settings) -> None:
    convergence.ask(settings.for_machine, [ADA, at_seat(learner("bob"))])
    asked = json.loads((Path(settings.bin_dir) / "asked.json").read_text())["items"]
    assert [
        (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in asked
    ] == [
        ("Kustomization", "lab-ada-sys", "secrets-develop"),
        ("Kustomization", "lab-bob-sys", "secrets-develop"),
    ]
    said = (Path(settings.bin_dir) / "annotated").read_text()
    assert "reconcile.fluxcd.io/requestedAt=" in said


def workload(name: str, container: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ada-develop"},
        "spec": {
            "template": {
                "metadata": {"annotations": annotations},
                "spec": {"containers": [container]},
            }
        },
    }


def test_who_reads_a_secret_at_the_start_is_restarted_once(settings: Settings) -> None:
    whole = {"envFrom": [{"secretRef": {"name": "backend"}}]}
    one = {"env": [{"name": "A"}, {"valueFrom": {"secretKeyRef": {"name": "backend"}}}]}
    having(
        settings,
        workloads=[
            workload("whole", whole),
            workload("one", one),
            workload("done", one, **{"sops-lab/incident": INCIDENT}),
            workload("other", {"envFrom": [{"secretRef": {"name": "other"}}]}),
            workload("none", {}),
        ],
    )
    found = old_consumers(
        settings.for_machine,
        environments=[ADA],
        incident=settings.incident or "",
        secrets={"ada": ["backend"]},
    )
    assert found == {"ada": ["deployment/whole", "deployment/one"]}
    of_others = {"bob": ["backend"]}
    assert not old_consumers(
        settings.for_machine,
        environments=[ADA],
        incident=settings.incident or "",
        secrets=of_others,
    )


FORBIDDEN = "Error from server (Forbidden): {kind} is forbidden: User ada cannot list resource"
BUSY = "Error from server (TooManyRequests): the server has received too many requests"
LOGGED_OUT = "error: You must be logged in to the server (Unauthorized)"
RESTARTING: dict[str, Any] = {
    "environments": [ADA],
    "incident": INCIDENT,
    "secrets": {"ada": ["backend"]},
}


def refuse(settings: Settings, kind: str, words: str) -> None:
    """Make the cluster list no objects of a kind."""
    Path(settings.bin_dir, f"{kind}.refused").write_text(words.format(kind=kind))


def test_workloads_that_whoever_runs_up_may_not_list_are_passed_over(settings: Settings) -> None:
    having(settings, workloads=[workload("web", {"envFrom": [{"secretRef": {"name": "backend"}}]})])
    for kind in ("statefulsets", "daemonsets"):
        refuse(settings, kind, FORBIDDEN)
    assert old_consumers(settings.for_machine, **RESTARTING) == {"ada": ["deployment/web"]}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("deployments", BUSY),
        ("deployments", LOGGED_OUT),
        # `up` needs this right.
        ("deployments", FORBIDDEN),
        ("statefulsets", BUSY),
        ("daemonsets", LOGGED_OUT),
    ],
)
def test_workloads_that_are_not_shown_are_not_taken_for_none(
    settings: Settings, kind: str, words: str
) -> None:
    having(settings, workloads=[])
    refuse(settings, kind, words)
    with pytest.raises(Undecided):
        old_consumers(settings.for_machine, **RESTARTING)


@pytest.mark.parametrize("words", [FORBIDDEN, BUSY, LOGGED_OUT])
def test_secrets_that_are_not_shown_are_not_taken_for_none(
    settings: Settings, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"ada": [Delivered("a.yaml", "a", "ada")]}
    refuse(settings, "secrets", words)
    with pytest.raises(Undecided):
        live_values(settings.for_machine, [ADA], files)
    monkeypatch.setattr(convergence, "_ARRIVING_S", 0)
    with pytest.raises(Undecided):
        convergence.await_values(settings.for_machine, [ADA], files)


def test_the_cluster_is_compared_with_the_file_and_no_value_is_told(
    settings: Settings, tmp_path: Path
) -> None:
    recipient = make_identity(Path(settings.keys_dir) / "ada.agekey")
    bare = Path(settings.git_dir) / "repositories/ada/lab.git"
    clone = tmp_path / "clone"
    begin_repository(bare, clone)
    manifest = "apiVersion: v1\nkind: Secret\ndata: {A: b25l}\nstringData: {B: two}\n"
    encrypted = subprocess.run(
        [
            find_tool("sops"), "encrypt", "--age", recipient, "--encrypted-regex",
            "^(data|stringData)$", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
        ],
        input=manifest, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in ("same", "differs", "absent"):
        (clone / f"{name}.yaml").write_text(encrypted)
    (clone / "damaged.yaml").write_text("sops: {}\n")
    commit(clone, "one")
    data = {"A": "b25l", "B": base64.b64encode(b"two").decode()}
    having(
        settings,
        secrets=[
            {"metadata": {"namespace": "ada-develop", "name": "same"}, "data": data},
            {"metadata": {"namespace": "ada-develop", "name": "differs"}, "data": {"A": "b25l"}},
        ],
    )
    names = ("same", "differs", "absent", "damaged")
    files = {"ada": [Delivered(f"{name}.yaml", name, "ada") for name in names]}
    assert live_values(settings.for_machine, environments=[ADA], files=files) == {
        "ada": {f"{name}.yaml": name for name in ("same", "differs", "absent")}
    }


def test_what_is_suspended_is_found_with_the_verb_that_did_it(settings: Settings) -> None:
    ours = {"metadata": {"annotations": {"sops-lab/suspended-by": "rotate"}}}
    found = [kustomization("1", **changes) for changes in ({}, {}, ours, ours)]
    for one, suspend in zip(found, ({}, {"suspend": True}, {"suspend": True}, {}), strict=True):
        one.update(spec=suspend)
    having(settings, kustomizations=found)
    assert suspended_among(all_kustomizations(settings.for_machine)) == [
        Suspended("Kustomization", "lab-ada-sys", "secrets-develop", by) for by in ("", "rotate")
    ]
    having(settings, kustomizations=found[-1:])
    assert left_by_a_rotation(settings.for_machine, environments=[ADA]) is True


def test_a_machine_on_which_nothing_is_yet_has_nothing_to_say(lab: Callable[..., Settings]) -> None:
    settings, ada = lab(incident=INCIDENT), [ADA]
    there = settings.for_machine
    assert settling_objects(there, ada) == []
    assert all_sources(there) == all_kustomizations(there) == []
    assert not left_by_a_rotation(there, ada)
    assert old_consumers(there, ada, INCIDENT, {"ada": ["backend"]}) == {}
    assert live_values(there, ada, {"ada": [Delivered("a.yaml", "a", "ada")]}) == {}
    assert archived_identities(there) == {}
    assert clone_standing(there, ADA) is None
    gone = encrypted_versions(there, [ADA], {"ada": ["a" * 40]}, INCIDENT)
    assert gone == {"ada": {}}
    assert leaked_logins(there, kept=logins_dir(settings), users=["ada"]) == {"ada": "unkept"}


# Passwords


@pytest.fixture
def leaked(settings: Settings) -> Settings:
    """A lab in which ada's password leaked and has not been replaced yet."""
    rotation = Rotation(INCIDENT, Cause.GIT_CREDENTIAL, date(2026, 11, 25), ("ada",))
    path = Path(settings.lab_dir) / "rotations" / f"{INCIDENT}.yaml"
    path.parent.mkdir()
    path.write_text(render_rotation(rotation))
    for user in ("ada", "flux", "bob"):
        folder = Path(settings.account_dir(user))
        folder.mkdir(parents=True)
        (folder / "username").write_text(user)
        (folder / "password").write_text(f"old-{user}")
        (folder / "git-credentials").write_text(f"http://{user}:old-{user}@127.0.0.1%3a8418\n")
    return settings


def password(settings: Settings, user: str) -> str:
    return (Path(settings.account_dir(user)) / "password").read_text()


def test_a_password_that_leaked_and_fluxs_own_are_replaced_once(leaked: Settings) -> None:
    done = Applied(logins.passwords, settings=leaked, environments=[ADA])
    assert done.changed and not done.failed
    new = {user: password(leaked, user) for user in ("ada", "flux")}
    assert not set(new.values()) & {"old-ada", "old-flux"}
    assert password(leaked, "bob") == "old-bob"
    kept = Path(logins_dir(leaked))
    assert sorted(path.name for path in kept.iterdir()) == ["ada", "flux"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.iterdir())
    assert not Applied(logins.passwords, settings=leaked, environments=[ADA]).changed
    assert {user: password(leaked, user) for user in new} == new


def test_a_run_that_ended_between_keeping_and_replacing_goes_on(leaked: Settings) -> None:
    kept = Path(logins_dir(leaked))
    kept.mkdir(mode=0o700)
    (kept / "ada").write_text("http://ada:old-ada@127.0.0.1:8418\n")
    users = ["ada", "flux", "bob"]
    states = {"ada": "kept", "flux": "unkept", "bob": "unkept"}
    assert leaked_logins(leaked.for_machine, kept=logins_dir(leaked), users=users) == states
    assert Applied(logins.passwords, settings=leaked, environments=[ADA]).changed
    assert (kept / "ada").read_text() == "http://ada:old-ada@127.0.0.1:8418\n"
    assert password(leaked, "ada") != "old-ada"


# The server that git asks admits the logins in the folder `admitted`, and is down while `silent`
# exists.
GIT = """#!/bin/sh
here=$(dirname "$0")
[ ! -e "$here/silent" ] || { echo 'fatal: unable to access: Connection refused' >&2; exit 128; }
for admitted in "$here"/admitted/*; do
    ! cmp -s "${GIT_CONFIG_VALUE_2##* }" "$admitted" || exit 0
done
echo "fatal: Authentication failed for '$3'" >&2
exit 128
"""


@pytest.fixture
def replaced(leaked: Settings) -> Settings:
    """The lab with passwords replaced, and a Git server that admits the new ones of ada and
    Flux."""
    assert Applied(logins.passwords, settings=leaked, environments=[ADA]).changed
    write_program(Path(leaked.bin_dir) / "git", GIT)
    (Path(leaked.bin_dir) / "admitted").mkdir()
    for user in ("ada", "flux"):
        admit(leaked, user, Path(leaked.account_dir(user)) / "git-credentials")
    return leaked


def admit(settings: Settings, name: str, login: Path) -> None:
    (Path(settings.bin_dir) / "admitted" / name).write_bytes(login.read_bytes())


def test_logins_that_are_refused_are_not_kept(replaced: Settings) -> None:
    kept = Path(logins_dir(replaced))
    done = Applied(logins.proof, settings=replaced, environments=[ADA])
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert list(kept.iterdir()) == []
    assert failures(replaced) == {}
    assert "old-" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("the old one works", "flux: the password that leaked still opens ada/lab\n"),
        ("the new one fails", "flux: the new password does not open ada/lab: the Git server refuses"
         " the login\n"),
        ("nothing answers", "flux: the password that leaked was not refused: the server does not"
         " answer\n"),
    ],
)  # fmt: skip
def test_a_learner_of_whom_a_login_is_not_proven_has_failed(
    replaced: Settings, how: str, sentence: str
) -> None:
    kept = Path(logins_dir(replaced))
    match how:
        case "the old one works":
            admit(replaced, "old", kept / "flux")
        case "the new one fails":
            (Path(replaced.bin_dir) / "admitted" / "flux").unlink()
        case _:
            (Path(replaced.bin_dir) / "silent").touch()
    before = (kept / "flux").read_bytes()
    assert not Applied(logins.proof, settings=replaced, environments=[ADA]).failed
    assert failures(replaced) == {"ada": sentence}
    assert (kept / "flux").read_bytes() == before


# Keeps the Kustomizations, patches them as it is told, and records what is applied.
KEEPING = """#!/bin/sh
here=$(dirname "$0")
for patch; do :; done
case "$*" in
*" patch "*)
    jq --slurpfile told /dev/stdin --argjson patch "$patch" '
        def place: "\\(.metadata.namespace)/\\(.metadata.name)";
        ([$told[].items[] | place]) as $places
        | .items |= map(if place | IN($places[]) then . * $patch else . end)' \\
        "$here/kustomizations.json" >"$here/patched"
    mv "$here/patched" "$here/kustomizations.json" ;;
*" apply "*) cat >"$here/applied" ;;
*" secrets "*|*/secrets?*|*gitrepositories*) echo '{"items": []}' ;;
*kustomizations*) cat "$here/kustomizations.json" ;;
esac
"""


def having_kustomizations(
    settings: Settings, found: dict[str, tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """Set the Kustomizations of learners, each with more metadata and a spec."""
    having(
        settings,
        kustomizations=[
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"namespace": f"lab-{name}-sys", "name": "secrets-develop", **more},
                "spec": spec,
            }
            for name, (more, spec) in found.items()
        ],
    )


def suspended_systems(settings: Settings) -> list[str]:
    kept = json.loads((Path(settings.bin_dir) / "kustomizations.json").read_text())["items"]
    return [one["metadata"]["namespace"] for one in kept if one["spec"].get("suspend") is True]


def test_what_a_person_has_suspended_stays_so_when_a_key_is_handed_over(
    settings: Settings,
) -> None:
    (Path(settings.bin_dir) / "kubectl").write_text(KEEPING)
    Path(settings.class_dir).mkdir()
    names = ("credentials/flux/username", "credentials/flux/password", "receiver/token")
    write_files(Path(settings.git_dir), {name: name for name in names})
    ours = {"annotations": {"sops-lab/suspended-by": "rotate"}}
    found = {
        "person": ({}, {"suspend": True}),
        "killed": (ours, {"suspend": True}),
        "running": ({}, {}),
    }
    having_kustomizations(settings, found)
    for name in found:
        make_identity(Path(settings.keys_dir) / f"{name}.agekey")
    environments = [at_seat(learner(name)) for name in found]

    done = Applied(rotation.handover, settings=settings, environments=environments)

    assert done.changed and not done.failed, done.stderr
    assert (Path(settings.bin_dir) / "applied").exists()
    assert suspended_systems(settings) == ["lab-person-sys"]


def test_only_what_nobody_will_resume_is_resumed(settings: Settings) -> None:
    (Path(settings.bin_dir) / "kubectl").write_text(KEEPING)
    ours = {"annotations": {"sops-lab/suspended-by": "rotate"}}
    suspend = {"suspend": True}
    having_kustomizations(
        settings, {"ada": ({}, suspend), "bob": (ours, suspend), "eve": ({}, suspend)}
    )
    environments = [at_seat(learner(name)) for name in ("ada", "bob")]
    done = Applied(suspension.resumption, settings=settings, environments=environments)
    assert done.changed and not done.failed, done.stderr
    assert suspended_systems(settings) == ["lab-bob-sys", "lab-eve-sys"]
    assert not Applied(suspension.resumption, settings=settings, environments=environments).changed


# Refuses to patch one workload, and records the patches of the others.
REFUSING = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
*" broken "*) echo 'Error from server (Forbidden): nothing for you' >&2; exit 1 ;;
*" patch "*) { echo "$*"; cat; } >>"$here/patched" ;;
esac
"""


def test_a_workload_that_cannot_be_restarted_fails_its_learner_only(settings: Settings) -> None:
    (Path(settings.bin_dir) / "kubectl").write_text(REFUSING)
    environments = [at_seat(learner(name)) for name in ("ada", "bob")]
    workloads = {"ada": ["deployment/broken"], "bob": ["deployment/web", "daemonset/web"]}
    convergence.restart(settings.for_machine, environments, INCIDENT, workloads)
    told = (Path(settings.bin_dir) / "patched").read_text()
    assert told.count("--namespace bob-develop patch d") == told.count(INCIDENT) == 2
    (failed,) = (Path(settings.class_dir) / "failed").iterdir()
    assert failed.name == "ada"
    assert failed.read_text().startswith("deployment/broken could not be restarted: ")
    assert "nothing for you" not in failed.read_text()


def test_a_value_that_does_not_arrive_in_time_fails_its_learner(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([LiveValue.DIFFERS, LiveValue.DIFFERS, LiveValue.SAME])
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(
        convergence, "live_values", lambda *_: {"ada": {"a.yaml": next(looks, LiveValue.DIFFERS)}}
    )
    failed = Path(settings.class_dir) / "failed/ada"
    convergence.await_values(settings.for_machine, [ADA], {})
    assert not failed.exists() and next(looks, None) is None
    monkeypatch.setattr(convergence, "_ARRIVING_S", 0)
    convergence.await_values(settings.for_machine, [ADA], {})
    assert failed.read_text() == "the cluster has another value than a.yaml\n"


def test_a_cluster_that_is_silent_for_a_moment_is_asked_again_for_its_values(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([LiveValue.DIFFERS, None, LiveValue.SAME])

    def look(*_: object) -> dict[str, dict[str, LiveValue]]:
        seen = next(looks)
        if seen is None:
            raise Undecided("the cluster could not be asked")
        return {"ada": {"a.yaml": seen}}

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(convergence, "live_values", look)
    convergence.await_values(settings.for_machine, [ADA], {})
    assert next(looks, None) is None
    assert not Path(settings.class_dir, "failed").exists()
