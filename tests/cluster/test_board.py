"""`sopslab status` on a real class: what learners do and what breaks, as the instructor sees it."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.board.steps import STEPS
from sopslab.lab.observe.everywhere import secrets_without_values
from sopslab.lab.observe.scopes import Scope
from sopslab.lab.tools.kubectl import Kubectl
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import run, wait_until
from tests.texts import replaced

pytestmark = pytest.mark.soak

VALUE = "correct-horse-battery"
SECRET = "flux/secrets/develop/backend-secrets.yaml"
LISTED = "flux/secrets/develop/kustomization.yaml"
FRESH = {
    "access": "yes",
    "key": "yes",
    "pushed": "no",
    "encrypted": "no",
    "wired": "no",
    "source": "yes",
    "applied": "no",
    "secret": "no",
}
DONE = dict.fromkeys(STEPS, "yes")


def _status(classroom: Classroom) -> tuple[int, dict[str, Any]]:
    """Return the exit code, and the row of each seat."""
    done = classroom.lab.sopslab("status", "--json", check=False)
    return done.returncode, {row["seat"]: row for row in json.loads(done.stdout)["class"]}


def _await(classroom: Classroom, seat: str, **wanted: str) -> dict[str, Any]:
    """Wait until the steps of a seat are as wanted, and return its row."""
    row: dict[str, Any] = {}

    def reached() -> bool:
        row.clear()
        row.update(_status(classroom)[1][seat])
        return all(row["steps"].get(step) == state for step, state in wanted.items())

    try:
        wait_until(reached, f"{seat} comes to {wanted}", 90)
    except AssertionError as error:
        raise AssertionError(f"{error}, but is {row}") from None
    return row


def _encrypt(classroom: Classroom, clone: Path) -> None:
    environment = {
        # A learner of a class has no private key: encrypting needs only public keys.
        name: value
        for name, value in classroom.lab.environment.items()
        if name != "SOPS_AGE_KEY_FILE"
    }
    run(
        [
            "scripts/sops-encrypt-secret.sh", "develop", "backend-secrets",
            "--from-stdin", "password",
        ],
        env=environment, cwd=clone, stdin=VALUE,
    )  # fmt: skip


def _wire(clone: Path) -> None:
    listed = clone / LISTED
    listed.write_text(replaced(listed.read_text(), "# - backend-secrets", "- backend-secrets"))


@pytest.fixture
def begun(classroom: Classroom) -> Iterator[Classroom]:
    """The class on its first day. Afterwards ada is back on it, and nothing of hers is left."""
    yield classroom
    start = run(["git", "rev-parse", "refs/lab/start"], cwd=classroom.bare("ada")).stdout.strip()
    if classroom.head("ada") != start:
        run(["git", "update-ref", "refs/heads/main", start], cwd=classroom.bare("ada"))
    for kind, name in (("gitrepository", "lab"), ("kustomization", "secrets-develop")):
        _patch(classroom, kind, name, '{"spec":{"suspend":null}}')
        classroom.lab.kubectl(
            "-n", "lab-ada-sys", "annotate", "--overwrite", kind, name,
            f"reconcile.fluxcd.io/requestedAt={start[:7]}-{time.monotonic_ns()}",
        )  # fmt: skip
    _await(classroom, "ada", **FRESH)


def _patch(classroom: Classroom, kind: str, name: str, change: str) -> None:
    classroom.lab.kubectl(
        "-n", "lab-ada-sys", "patch", kind, name, "--type", "merge", "--patch", change
    )


def test_on_the_first_day_every_seat_is_whole_and_open(begun: Classroom) -> None:
    code, rows = _status(begun)

    assert code == 0
    assert {seat: row["steps"] for seat, row in rows.items()} == dict.fromkeys(SEATS, FRESH)
    assert not any(row["needs_help"] for row in rows.values())


def test_a_learner_is_seen_to_get_there_step_by_step(begun: Classroom, tmp_path: Path) -> None:
    clone = begun.clone("ada", tmp_path)
    _encrypt(begun, clone)
    begun.push(clone)
    row = _await(begun, "ada", pushed="yes", encrypted="yes", wired="no", source="yes")
    assert "uncomment line" in row["next"]

    _wire(clone)
    begun.push(clone)
    row = _await(begun, "ada", **DONE)
    assert (row["done"], row["next"]) == (True, "")

    code, rows = _status(begun)
    assert code == 0
    assert [seat for seat, row in rows.items() if row["done"]] == ["ada"]

    shown = [begun.lab.sopslab("status", *options) for options in ((), ("--json",), ("--csv",))]
    encoded = base64.b64encode(VALUE.encode()).decode()
    for done in shown:
        assert VALUE not in done.stdout + done.stderr
        assert encoded not in done.stdout + done.stderr
    assert "1 of 3 is done." in shown[0].stdout
    assert [line[:4] for line in csv.reader(io.StringIO(shown[2].stdout))][1] == [
        "ada", "Learner ada", "", "yes",
    ]  # fmt: skip

    # The answer of kubectl, too, holds only the keys of Secrets, and no value.
    told = secrets_without_values(Kubectl(begun.lab.settings), [Scope()])
    (line,) = [one for one in told.splitlines() if one.startswith("ada-develop\tbackend-secrets\t")]
    assert line.endswith("\t\tpassword")
    assert encoded not in told


def test_a_file_that_was_changed_is_told_in_words(begun: Classroom, tmp_path: Path) -> None:
    """The file's form is still right, so the Git server accepts it; but Flux cannot decrypt it."""
    clone = begun.clone("ada", tmp_path)
    _encrypt(begun, clone)
    _wire(clone)
    file = clone / SECRET
    file.write_text(
        re.sub(
            r"(password: ENC\[AES256_GCM,data:)(.)",
            lambda match: match[1] + ("A" if match[2] != "A" else "B"),
            file.read_text(),
        )
    )
    begun.push(clone)
    row = _await(begun, "ada", encrypted="yes", source="yes", applied="no", secret="no")

    wait_until(lambda: _status(begun)[1]["ada"]["needs_help"], "Flux says that it failed")
    code, rows = _status(begun)
    assert "the file was changed after it was encrypted" in rows["ada"]["next"], row
    assert code == 0, "how far a learner is makes no difference"


def test_a_secret_that_is_not_listed_any_more_is_gone(begun: Classroom, tmp_path: Path) -> None:
    clone = begun.clone("ada", tmp_path)
    _encrypt(begun, clone)
    _wire(clone)
    begun.push(clone)
    _await(begun, "ada", **DONE)
    listed = clone / LISTED
    listed.write_text(replaced(listed.read_text(), "- backend-secrets", "# - backend-secrets"))
    begun.push(clone)

    _await(begun, "ada", encrypted="yes", wired="no", applied="no", secret="no")


@pytest.mark.parametrize(
    ("kind", "name", "what", "step", "code"),
    [
        ("kustomization", "secrets-develop", "kustomization", "applied", 0),
        ("gitrepository", "lab", "source git", "source", 1),
    ],
)
def test_what_is_suspended_is_named_with_what_resumes_it(
    kind: str, name: str, what: str, step: str, code: int, begun: Classroom
) -> None:
    _patch(begun, kind, name, '{"spec":{"suspend":true}}')
    found, rows = _status(begun)

    assert rows["ada"]["steps"][step] == "no"
    assert "is suspended" in rows["ada"]["next"]
    assert rows["ada"]["fix"] == f"flux --namespace lab-ada-sys resume {what} {name}"
    assert found == code
    assert not rows["bob"]["needs_help"]


def test_a_seat_without_what_the_lab_owes_it_makes_status_fail(begun: Classroom) -> None:
    kubeconfig = begun.kubeconfig("ada")
    kubeconfig.rename(kubeconfig.with_suffix(".away"))
    try:
        code, rows = _status(begun)
    finally:
        kubeconfig.with_suffix(".away").rename(kubeconfig)

    assert code == 1 and "kubeconfig" in rows["ada"]["next"]
    assert (rows["bob"]["needs_help"], rows["eve"]["needs_help"]) == (False, False)


def test_a_key_that_is_lost_in_the_cluster_is_found_and_given_again(begun: Classroom) -> None:
    begun.lab.kubectl("-n", "lab-ada-sys", "delete", "secret", "sops-age")
    code, rows = _status(begun)
    begun.up()

    assert (code, rows["ada"]["steps"]["key"]) == (1, "no")
    assert "there is no Secret sops-age in lab-ada-sys" in rows["ada"]["next"]
    assert _await(begun, "ada", key="yes")["needs_help"] is False
