"""`sopslab rotate` on a real lab: always Ready, killed everywhere, attacked, out of disk."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sopslab.errors import Exit
from sopslab.incidents.rotation.encrypted import splice
from sopslab.layout import CANARY_PATH, NAMESPACE
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.interruption import Run
from tests.cluster.lab import SOPSLAB, Lab, lab_name, run, wait_until
from tests.cluster.watching import CommandLines, Readiness

pytestmark = [pytest.mark.soak, pytest.mark.every_provider]

SECRET = "flux/secrets/develop/backend-secrets.yaml"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: develop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.invalid/never:1
          envFrom: [{secretRef: {name: backend-secrets}}]
"""


@pytest.fixture(scope="module")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of this module's own: its keys change with each test."""
    with Lab(lab_name("rotate"), tmp_path_factory.mktemp("rotate"), {}).made() as lab:
        lab.sopslab("reset", "--to", "done", "--json")
        yield lab


def rotate(lab: Lab, *arguments: str, check: bool = True) -> dict[str, Any]:
    """Run `sopslab rotate --json` and return its object, with the exit code as `code`."""
    done = lab.sopslab("rotate", "--json", *arguments, check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = {**json.loads(done.stdout), "code": done.returncode}
    assert not check or done.returncode == 0, f"{answer['problems']}, see {answer.get('log')}"
    return answer


def assert_whole(lab: Lab) -> None:
    """Check, as a learner does, that everything fits together, and that nothing is left to do."""
    done = lab.run(SOPSLAB, "verify", "--json", "--wait", "30", check=False)
    assert done.returncode == 0, done.stdout
    work = Path(lab.settings.work_dir)
    checked = lab.run("scripts/sops-setup.sh", "--check", cwd=work, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert lab.changes(lab.up()) == []


def show(lab: Lab, path: str, ref: str = "refs/heads/main") -> str:
    """Return a file of the learner's repository."""
    return run(["git", "show", f"{ref}:{path}"], cwd=lab.bare).stdout


def sops(lab: Lab, text: str, identity: Path) -> subprocess.CompletedProcess[str]:
    """Decrypt a file with one identity and nothing else."""
    return run(
        ["sops", "decrypt", "--input-type", "yaml", "--output-type", "json", "/dev/stdin"],
        env={"PATH": lab.environment["PATH"], "HOME": "/nonexistent",
             "SOPS_AGE_KEY_FILE": str(identity)},
        stdin=text, check=False,
    )  # fmt: skip


def live(lab: Lab, secret: str = "backend-secrets") -> str:
    """Return the values of a Secret in the cluster, in base64."""
    return lab.kubectl("-n", NAMESPACE, "get", "secret", secret, "-o", "jsonpath={.data}")


def archived(lab: Lab, recipient: str) -> Path:
    """Return the file of the archived identity with this recipient."""
    folder = Path(lab.settings.keys_dir) / "archive"
    found = {
        lab.run("age-keygen", "-y", str(path)).stdout.strip(): path
        for path in folder.glob("*.agekey")
    }
    return found[recipient]


def cluster_opens(lab: Lab, folder: Path) -> bool:
    """Return whether the identities in Flux's key Secret open every file at main."""
    found = json.loads(lab.kubectl("-n", "flux-system", "get", "secret", "sops-age", "-ojson"))
    identity = folder / "cluster.agekey"
    identity.touch(mode=0o600)
    identity.write_bytes(b"\n".join(base64.b64decode(one) for one in found["data"].values()))
    try:
        return all(
            sops(lab, show(lab, path), identity).returncode == 0 for path in (SECRET, CANARY_PATH)
        )
    finally:
        identity.unlink()


def incident(lab: Lab, name: str) -> str:
    """Return the record of an incident in the platform repository."""
    bare = lab.bare.parents[1] / "platform.git"
    return run(["git", "show", f"refs/heads/main:docs/incidents/{name}.yaml"], cwd=bare).stdout


def last_incident(lab: Lab) -> str:
    """Return the id of the incident of the last rotation of a learner's key."""
    return max((Path(lab.settings.lab_dir) / "rotations").glob("*learner-key*.yaml")).stem


def test_a_value_that_leaked_is_replaced_without_a_moment_of_not_ready(rotated: Lab) -> None:
    before, value, head = show(rotated, SECRET), live(rotated), rotated.head()
    canary = show(rotated, CANARY_PATH)
    rotated.kubectl("apply", "-f", _write(rotated, "web.yaml", DEPLOYMENT))
    with Readiness(rotated) as readiness, CommandLines() as seen:
        answer = rotate(rotated, "value-exposed", "--exposed", "backend-secrets")
    print(readiness.said, answer["seconds"])
    assert "\n".join(readiness.failures) == ""
    changed = run(["git", "diff", "--name-only", head, "main"], cwd=rotated.bare).stdout.split()
    assert changed == [SECRET] and show(rotated, CANARY_PATH) == canary
    own = Path(rotated.settings.keys_dir) / "learner.agekey"
    opened = sops(rotated, show(rotated, SECRET), own)
    new = json.loads(opened.stdout)["data"]
    assert json.loads(live(rotated)) == new and live(rotated) != value
    attack = splice(show(rotated, SECRET), before, rotated.recipient())
    assert attack is not None and sops(rotated, attack, own).returncode == 25
    restarted = rotated.kubectl(
        "-n", NAMESPACE, "get", "deployment", "web", "-o", "jsonpath={.spec.template.metadata}"
    )
    assert "sops-lab/incident" in restarted
    secrets = [base64.b64decode(one) for one in new.values()]
    assert not any(seen.contain(one) for one in secrets)
    log = Path(answer["log"]).read_bytes()
    assert not [one for one in secrets if one in log or base64.b64encode(one) in log]
    rotated.kubectl("-n", NAMESPACE, "delete", "deployment", "web", "--wait=false")
    assert_whole(rotated)


def _write(lab: Lab, name: str, text: str) -> str:
    path = lab.folder / name
    path.write_text(text)
    return str(path)


def test_a_key_that_leaked_is_replaced_without_a_moment_of_not_ready(rotated: Lab) -> None:
    old, before, value = rotated.recipient(), show(rotated, SECRET), live(rotated)
    with Readiness(rotated) as readiness:
        answer = rotate(rotated, "learner-key")
    print(readiness.said, answer["seconds"])
    assert "\n".join(readiness.failures) == ""
    new = rotated.recipient()
    assert new != old and rotated.cluster_recipient() == new
    held = json.loads(rotated.kubectl("-n", "flux-system", "get", "secret", "sops-age", "-ojson"))
    assert set(held["data"]) == {"age.agekey"}
    assert live(rotated) != value
    leaked = archived(rotated, old)
    now = show(rotated, SECRET)
    assert sops(rotated, now, leaked).returncode == 128
    attack = splice(now, before, old)
    assert attack is not None and sops(rotated, attack, leaked).returncode == 25
    # The leaked key still opens the old file: the tool says so, and so does the record.
    assert sops(rotated, before, leaked).returncode == 0
    told = incident(rotated, last_incident(rotated))
    assert "closed: 20" in told and "old values of" in told
    assert_whole(rotated)


@pytest.mark.soak
def test_a_rotation_killed_at_every_operation_completes(rotated: Lab, tmp_path: Path) -> None:
    old, name = rotated.recipient(), "2026-11-25-killed"
    data = {"cause": "cluster-key", "incident": name, "learners": '["learner"]'}
    plan: list[str] = []
    position = 0
    with Readiness(rotated) as readiness:
        while True:
            with Run(rotated, tmp_path / f"{position}.log", "deploys/rotate.py", data) as killed:
                left = position

                def chosen(_name: str) -> bool:
                    nonlocal left
                    left -= 1
                    return left < 0

                started = killed.until_start(chosen)
                plan = plan or killed.plan
                if started is None:
                    assert killed.process.returncode == 0
                    break
                # Kill in the middle of the operation, unless it is over by then.
                killed.ends_within(0.15)
                killed.kill(group=True)
            assert cluster_opens(rotated, tmp_path), f"after a kill in {started}"
            position += 1
    assert position >= len(plan) > 20
    print(f"killed {position} times;", readiness.said)
    assert "\n".join(readiness.failures) == ""
    assert rotated.recipient() != old
    assert sops(rotated, show(rotated, SECRET), archived(rotated, old)).returncode == 128
    assert "closed: 20" in incident(rotated, name)
    assert_whole(rotated)


@pytest.mark.soak
def test_the_instructors_key_and_passwords_are_replaced(rotated: Lab) -> None:
    old = rotated.recipient("instructor")
    account = Path(rotated.settings.account_dir("learner"))
    password = (account / "password").read_text()
    with Readiness(rotated) as readiness:
        rotate(rotated, "instructor-key")
        head = rotated.head()
        rotate(rotated, "git-credential")
    assert "\n".join(readiness.failures) == ""
    assert rotated.recipient("instructor") != old
    assert old not in show(rotated, SECRET) + show(rotated, ".sops.yaml")
    assert rotated.head() == head
    assert (account / "password").read_text() != password
    assert_whole(rotated)


@pytest.mark.soak
def test_a_reset_after_a_rotation_goes_back_to_what_the_new_key_opens(rotated: Lab) -> None:
    rotated.sopslab("reset", "--json")
    assert rotated.changes(rotated.up()) == []
    rotated.sopslab("reset", "--to", "done", "--json")
    assert_whole(rotated)


@pytest.mark.soak
def test_a_dry_run_changes_nothing(rotated: Lab) -> None:
    head, keys = rotated.head(), sorted(Path(rotated.settings.keys_dir).rglob("*"))
    told = json.loads(rotated.sopslab("rotate", "learner-key", "--dry-run", "--json").stdout)
    assert any(SECRET in sentence for sentence in told["plan"]["learner"])
    assert rotated.head() == head
    assert sorted(Path(rotated.settings.keys_dir).rglob("*")) == keys


# A class


def test_one_repository_that_is_away_stops_nobody_else(classroom: Classroom) -> None:
    lab = classroom.lab
    keys = {seat: lab.recipient(seat) for seat in SEATS}
    canaries = {seat: classroom.canary_digest(seat) for seat in SEATS}
    away = classroom.bare("bob").with_suffix(".away")
    classroom.bare("bob").rename(away)
    try:
        answer = rotate(lab, "cluster-key", "--all", check=False)
    finally:
        away.rename(classroom.bare("bob"))
    assert answer["code"] == Exit.PARTIAL
    assert "bob: " in "\n".join(answer["problems"])
    after = {seat: lab.recipient(seat) for seat in SEATS}
    assert after["bob"] == keys["bob"]
    assert all(after[seat] != keys[seat] for seat in ("ada", "eve"))
    heads = {seat: classroom.head(seat) for seat in ("ada", "eve")}
    with Readiness(lab) as readiness:
        rotate(lab, "cluster-key", "--all")
    assert "\n".join(readiness.failures) == ""
    assert {seat: classroom.head(seat) for seat in ("ada", "eve")} == heads
    assert lab.recipient("bob") != keys["bob"]
    for seat in SEATS:
        wait_until(partial(classroom.has_canary, seat), f"the new canary of {seat} is there")
        assert classroom.canary_digest(seat) != canaries[seat]
    assert classroom.up()["changed"] == 0


def test_a_push_with_the_old_key_is_refused_afterwards(
    classroom: Classroom, tmp_path: Path
) -> None:
    lab = classroom.lab
    old = lab.recipient("ada")
    clone = classroom.clone("ada", tmp_path)
    rules = (clone / ".sops.yaml").read_text()
    rotate(lab, "cluster-key", "ada")
    run(["git", "pull", "--quiet", "--rebase"], cwd=clone)
    assert old in rules and old not in (clone / ".sops.yaml").read_text()
    (clone / ".sops.yaml").write_text(rules)
    stale = "flux/secrets/develop/stale.yaml"
    text = lab.run(
        "sops", "encrypt", "--filename-override", stale, "--input-type", "yaml",
        "--output-type", "yaml", "/dev/stdin", cwd=clone,
        stdin="apiVersion: v1\nkind: Secret\nmetadata: {name: stale}\nstringData: {A: not-one}\n",
    ).stdout  # fmt: skip
    (clone / stale).write_text(text)
    refused = classroom.push(clone, check=False)
    assert refused.returncode != 0
    assert "which must be able to read it" in refused.stderr
    shutil.rmtree(clone)
