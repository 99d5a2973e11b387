"""A class on a real lab: who is on the roster, who comes and goes, and what one failure stops."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.inputs import CLASSROOM
from sopslab.errors import Exit
from tests.cluster.classroom import SEATS, Classroom, version_of, write_roster
from tests.cluster.interruption import held_up
from tests.cluster.lab import Lab, lab_name, run, wait_until

pytestmark = pytest.mark.every_provider

# Kinds whose status Flux itself touches at every interval, even if nothing has changed.
TICKING = {"GitRepository", "Kustomization"}
SYSTEM_OF_ADA = ("--namespace", "lab-ada-sys")


def objects_of(classroom: Classroom, seat: str) -> dict[str, str]:
    """Return what identifies the present state of each object of a seat."""
    environment = classroom.environment(seat)
    found: dict[str, str] = {}
    kinds = (
        "secrets,configmaps,serviceaccounts,roles,rolebindings,resourcequotas,limitranges,"
        "networkpolicies,gitrepositories,kustomizations,receivers"
    )
    for namespace in (environment.namespace, environment.system):
        answer = json.loads(
            classroom.lab.kubectl("--namespace", namespace, "get", kinds, "--output", "json")
        )
        space = json.loads(classroom.lab.kubectl("get", "ns", namespace, "--output", "json"))
        for item in [*answer["items"], space]:
            about = item["metadata"]
            is_ticking = item["kind"] in TICKING
            found[f"{item['kind']} {namespace}/{about['name']}"] = (
                str(about["generation"]) if is_ticking else version_of(item)
            )
    return found


def assign(classroom: Classroom, *arguments: str, check: bool = True) -> dict[str, Any]:
    """Run `sopslab assign` and return its object."""
    done = classroom.lab.sopslab("assign", *arguments, "--json", check=check)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def broken(classroom: Classroom, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two of three seats that cannot be finished, each for another reason."""
    clone = classroom.clone("bob", tmp_path)
    head = classroom.head("bob")
    (clone / "flux/secrets/develop/kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    classroom.push(clone)
    key = Path(classroom.lab.settings.keys_dir) / "eve.agekey"
    key.chmod(0o644)
    yield "bob", "eve"
    key.chmod(0o600)
    # By a push, since Flux is told of pushes.
    run(["git", "push", "--quiet", "--force", "origin", f"{head}:main"], cwd=clone)
    classroom.up()


@pytest.fixture
def archived(classroom: Classroom) -> Iterator[Path]:
    """Where the lab keeps what pruned seats had."""
    folder = Path(classroom.lab.settings.class_dir) / "pruned"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_second_run_changes_nothing(classroom: Classroom) -> None:
    before = {seat: objects_of(classroom, seat) for seat in SEATS}
    assert classroom.up()["changed"] == 0
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before


def test_every_canary_has_been_decrypted(classroom: Classroom) -> None:
    assert all(classroom.has_canary(seat) for seat in SEATS)


@pytest.mark.soak
def test_the_lab_without_the_roster_leaves_the_class_alone(classroom: Classroom) -> None:
    before = {seat: objects_of(classroom, seat) for seat in SEATS}
    assert classroom.lab.up()["changed"] == 0
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before


def test_one_learner_more_touches_nobody_else_and_one_less_nobody_at_all(
    classroom: Classroom, archived: Path
) -> None:
    before = {seat: objects_of(classroom, seat) for seat in SEATS}
    classroom.up(ids=(*SEATS, "zoe"))
    assert classroom.has_canary("zoe")
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before

    # A learner who left the roster is still in the class.
    assert classroom.up()["code"] == Exit.OK
    assert classroom.has_canary("zoe")

    key = Path(classroom.lab.settings.keys_dir) / "zoe.agekey"
    identity = key.read_bytes()
    # An object with a finalizer that nobody removes does not keep a seat from being archived.
    held = {"name": "held", "finalizers": ["example.org/nobody"]}
    classroom.lab.run(
        "kubectl", "-n", "zoe-develop", "create", "-f", "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}),
    )  # fmt: skip
    classroom.up("--prune")
    (kept,) = archived.glob("zoe-*/zoe.agekey")
    assert kept.read_bytes() == identity
    assert not key.exists()
    assert "zoe" not in classroom.lab.kubectl("get", "namespaces")
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before


def test_a_spare_is_somebodys_seat_as_soon_as_it_is_assigned(
    classroom: Classroom, archived: Path, tmp_path: Path
) -> None:
    before = {seat: objects_of(classroom, seat) for seat in SEATS}
    classroom.up("--spare", "1")
    assert classroom.has_canary("spare-1")
    log = Path(classroom.lab.settings.lab_dir, "log")
    runs = set(log.iterdir())
    assert assign(classroom, "spare-1", "zoe", "--name", "Zo\u00eb Z.")["changed"] == 1
    # It takes a second because none of the steps of an `up` is run.
    assert set(log.iterdir()) == runs
    assert (
        "free" in assign(classroom, "spare-1", "eve-2", "--name", "E", check=False)["problems"][0]
    )

    classroom.kubectl_as("spare-1", "get", "pods")
    clone = classroom.clone("spare-1", tmp_path)
    (clone / "mine.txt").write_text("x")
    classroom.push(clone)
    told = json.loads(classroom.lab.sopslab("status", "--json", check=False).stdout)["class"]
    assert {row["seat"]: row["name"] for row in told}["spare-1"] == "Zo\u00eb Z."

    # On the roster, zoe keeps this seat and nobody else's is touched; and she can leave it again.
    roster = classroom.lab.folder / "with-zoe.yaml"
    people = [{"id": seat, "name": f"Learner {seat}"} for seat in (*SEATS, "zoe")]
    roster.write_text(yaml.safe_dump({"learners": people}))
    classroom.lab.up(CLASSROOM, "--roster", str(roster), "--prune")
    assert classroom.has_canary("spare-1")
    assert "zoe-develop" not in classroom.lab.kubectl("get", "namespaces")
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before
    classroom.up("--prune")
    assert "spare-1" not in classroom.lab.kubectl("get", "namespaces")
    (kept,) = archived.glob("spare-1-*/repositories/lab.git")
    assert "Try" in run(["git", "--git-dir", str(kept), "log", "--format=%s", "main"]).stdout


def test_access_ends_at_its_time_and_comes_back_with_a_later_one(
    classroom: Classroom, archived: Path, tmp_path: Path
) -> None:
    clone, others = classroom.clone("ada", tmp_path), classroom.clone("bob", tmp_path)
    login = Path(classroom.lab.settings.login_file("ada"))
    # git removes a refused login from its file.
    own = tmp_path / "login"
    run(["git", "config", "credential.helper", f"store --file='{own}'"], cwd=clone)
    shutil.copy(login, own)
    classroom.push(clone)
    head = classroom.head("ada")

    over = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}Z"
    until(classroom, over)
    assert "(Forbidden)" in classroom.kubectl_as("ada", "get", "pods", check=False).stderr
    assert "Authentication failed" in classroom.push(clone, check=False).stderr
    assert not classroom.logs_in("ada", login)
    suspended = ("get", "kustomization", "secrets-develop", "--output=jsonpath={.spec.suspend}")
    assert classroom.lab.kubectl(*SYSTEM_OF_ADA, *suspended) == "true"
    # Others work, and a second run has nothing to do.
    classroom.kubectl_as("bob", "get", "pods")
    classroom.push(others)
    assert json.loads(classroom.lab.sopslab("reap", "--json").stdout)["suspended"] == ["ada"]
    assert until(classroom, over)["changed"] == 0

    until(classroom, None)
    assert classroom.head("ada") == head
    classroom.kubectl_as("ada", "get", "pods")
    shutil.copy(login, own)
    classroom.push(clone)
    assert classroom.lab.kubectl(*SYSTEM_OF_ADA, *suspended) in ("", "false")
    assert list(archived.glob("*")) == []
    run(["git", "push", "--quiet", "--force", "origin", f"{head}~1:main"], cwd=clone)


@pytest.mark.soak
def test_reset_and_rotate_wait_for_nothing_at_a_seat_whose_access_has_ended(
    classroom: Classroom,
) -> None:
    suspended = ("get", "kustomization", "secrets-develop", "--output=jsonpath={.spec.suspend}")
    until(classroom, f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M}Z")
    key, head = classroom.key("ada"), classroom.head("ada")
    for verb in (("reset", "ada", "bob"), ("rotate", "cluster-key", "ada", "bob")):
        began = time.monotonic()
        done = classroom.lab.sopslab(*verb, "--json", check=False)
        assert done.returncode == 0, done.stdout
        # A verb that waited for Flux would take ten minutes.
        assert time.monotonic() - began < 300
        assert classroom.lab.kubectl(*SYSTEM_OF_ADA, *suspended) == "true"
    assert classroom.key("ada") != key and classroom.head("ada") != head

    # Once Flux delivers again, it decrypts what was made meanwhile.
    until(classroom, None)
    assert classroom.lab.kubectl(*SYSTEM_OF_ADA, *suspended) in ("", "false")
    assert classroom.has_canary("ada")


def until(classroom: Classroom, time: str | None) -> dict[str, Any]:
    """Run `sopslab up` with a roster that ends Ada's access at `time`; return its object."""
    people = [{"id": seat, "name": f"Learner {seat}"} for seat in SEATS]
    people[0] |= {} if time is None else {"expires": time}
    roster = classroom.lab.folder / "until.yaml"
    roster.write_text(yaml.safe_dump({"learners": people}))
    return classroom.lab.up(CLASSROOM, "--roster", str(roster))


@pytest.mark.soak
def test_whoever_left_gets_into_nothing_of_somebody_else_of_that_name(
    classroom: Classroom, archived: Path
) -> None:
    classroom.up(ids=(*SEATS, "zoe"))
    classroom.up("--prune")
    (left,) = archived.glob("zoe-*/access/kubeconfig")
    (login,) = archived.glob("zoe-*/credentials/git-credentials")
    classroom.up(ids=(*SEATS, "zoe"))
    assert "(Forbidden)" in classroom.pods_with(left).stderr
    assert not classroom.logs_in("zoe", login)
    classroom.kubectl_as("zoe", "get", "pods")
    classroom.up("--prune")


def test_who_fails_is_named_and_stops_nobody(classroom: Classroom, broken: tuple[str, str]) -> None:
    classroom.lab.kubectl(*SYSTEM_OF_ADA, "delete", "secret", "sops-age", "git-credentials")
    answer = classroom.up(check=False)
    assert answer["code"] == Exit.PARTIAL
    problems = "\n".join(answer["problems"])
    assert "2 of 3 seats are not ready" in problems
    assert all(f"  {seat}: " in problems for seat in broken)
    assert "chmod 600" in problems
    assert "ada" not in problems
    assert "sops-age" in classroom.lab.kubectl(*SYSTEM_OF_ADA, "get", "secrets", "--output", "name")


@pytest.mark.soak
def test_an_entry_that_somebody_added_to_a_seats_secret_is_taken_out(
    classroom: Classroom,
) -> None:
    names = ("sops-age", "git-credentials", "receiver-token")
    before = {name: entries_of(classroom, name) for name in names}
    for name in names:
        classroom.lab.kubectl(
            *SYSTEM_OF_ADA, "patch", "secret", name, "--patch", '{"data": {"more": "eA=="}}'
        )
    classroom.up()
    assert {name: entries_of(classroom, name) for name in names} == before
    assert classroom.up()["changed"] == 0


def entries_of(classroom: Classroom, name: str) -> set[str]:
    """Return the entries of one of Ada's Secrets."""
    found = json.loads(classroom.lab.kubectl(*SYSTEM_OF_ADA, "get", "secret", name, "-ojson"))
    return set(found["data"])


@pytest.mark.soak
def test_a_roster_that_changes_during_a_run_counts_from_the_next_one(
    classroom: Classroom, archived: Path, tmp_path: Path
) -> None:
    roster = write_roster(tmp_path / "changing.yaml", SEATS)
    words = (CLASSROOM, "--roster", str(roster))
    with held_up(classroom.lab, "up", *words, "--prune") as first:
        write_roster(roster, ("dan",))
    assert (first.answer["code"], first.answer["changed"]) == (Exit.OK, 0)
    known = classroom.lab.kubectl("get", "namespaces", "--output", "name").split()
    assert {f"namespace/{seat}-develop" for seat in SEATS} <= set(known)
    assert "namespace/dan-develop" not in known

    classroom.lab.up(*words)
    assert classroom.has_canary("dan")
    classroom.up("--prune")
    assert "dan-develop" not in classroom.lab.kubectl("get", "namespaces")


@pytest.mark.soak
def test_a_learner_with_another_id_gets_a_seat_of_their_own_and_is_told(
    classroom: Classroom, archived: Path
) -> None:
    before = {seat: objects_of(classroom, seat) for seat in ("ada", "bob")}
    roster = classroom.lab.folder / "renamed.yaml"
    people = {"ada": "Learner ada", "bob": "Learner bob", "eva": "Learner eve"}
    learners = [{"id": seat, "name": name} for seat, name in people.items()]
    roster.write_text(yaml.safe_dump({"learners": learners}))
    done = classroom.lab.sopslab("up", CLASSROOM, "--roster", str(roster))
    assert "eva seems to be the same person as eve" in done.stdout
    # A new id is a new environment, and the old one stays until it is pruned.
    assert classroom.has_canary("eva") and classroom.has_canary("eve")
    assert classroom.lab.recipient("eva") != classroom.lab.recipient("eve")
    assert {seat: objects_of(classroom, seat) for seat in before} == before
    classroom.up("--prune")
    assert "eva" not in classroom.lab.kubectl("get", "namespaces")


@pytest.mark.soak
def test_a_class_begins_with_nobody_and_with_one(tmp_path: Path) -> None:
    lab = Lab(lab_name("empty"), tmp_path, {})
    lab.remove()
    empty = Classroom(lab)
    try:
        assert empty.up(ids=())["code"] == Exit.OK
        assert empty.up(ids=())["changed"] == 0
        empty.up(ids=("ada",))
        assert empty.has_canary("ada")
        assert empty.up(ids=("ada",))["changed"] == 0
        empty.up("--prune", ids=())
        assert "ada-develop" not in lab.kubectl("get", "namespaces")
    finally:
        lab.remove()


@pytest.mark.soak
def test_deleted_namespaces_of_seats_are_restored(classroom: Classroom) -> None:
    classroom.lab.kubectl("delete", "namespaces", "ada-develop", "lab-bob-sys", "--timeout", "90s")
    assert classroom.up()["code"] == Exit.OK
    for seat in ("ada", "bob"):
        wait_until(partial(classroom.has_canary, seat), "the canary is back", 60)


@pytest.mark.soak
def test_another_key_in_the_cluster_stops_that_seat_and_shows_both_public_keys(
    classroom: Classroom, tmp_path: Path
) -> None:
    classroom.lab.run("age-keygen", "-o", str(tmp_path / "other"))
    other = classroom.lab.run("age-keygen", "-y", str(tmp_path / "other")).stdout.strip()
    # Not as an argument: another test may look for keys in the arguments of all processes.
    patch = tmp_path / "patch.json"
    patch.write_text(json.dumps({"stringData": {"age.agekey": (tmp_path / "other").read_text()}}))
    secret = (*SYSTEM_OF_ADA, "patch", "secret", "sops-age", "--patch-file")
    classroom.lab.kubectl(*secret, str(patch))
    try:
        answer = classroom.up(check=False)
        problems = "\n".join(answer["problems"])
        assert answer["code"] == Exit.PARTIAL
        assert other in problems
        assert classroom.lab.recipient("ada") in problems
        assert "AGE-SECRET-KEY" not in problems
    finally:
        answer = classroom.up("--key-from", "store")
    assert answer["code"] == Exit.OK


def test_who_is_enrolled_is_on_record_and_readable_by_the_owner_only(classroom: Classroom) -> None:
    record = Path(classroom.lab.settings.class_dir) / "roster.json"
    recorded: list[dict[str, Any]] = json.loads(record.read_text())
    assert [seat["id"] for seat in recorded] == list(SEATS)
    assert record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("user", "repository"),
    [("ada", "bob/lab"), ("ada", "platform"), ("flux", "platform"), ("ada", "learner/lab")],
)
def test_only_its_learner_may_push_to_a_repository(
    classroom: Classroom, tmp_path: Path, user: str, repository: str
) -> None:
    url = f"{classroom.lab.settings.git_base_url}/{repository}.git"
    run(["git", "init", "--quiet", str(tmp_path)])
    run(["git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet",
         "--allow-empty", "--message", "x"], cwd=tmp_path)  # fmt: skip
    options = [*classroom.trust, *classroom.login(user)]
    push = ["git", *options, "push", url, "HEAD:refs/heads/main"]
    answer = run(push, cwd=tmp_path, check=False)
    assert answer.returncode != 0
    assert "403" in answer.stderr
