"""The command `sopslab status`, with a class and without one."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import CertificateBuilder

from sopslab.checks.board.judge import judge
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import Row
from sopslab.cli.main import main
from sopslab.config.settings import Seat
from sopslab.lab.tools import x509
from tests.commands import say_format
from tests.unit.board.class_material import Class


def _run(*arguments: str) -> Result:
    # Invoke the group: click remembers the first context in which a command showed its help.
    return CliRunner().invoke(main, ["status", *arguments])


def _roster(made: Class) -> Path:
    return Path(made.settings.class_dir, "roster.json")


def test_a_class_has_its_parts_its_learners_and_a_count(up: Callable[..., Class]) -> None:
    made = up("ada", "bob", "eve")
    made.push("bob", {"README.md": "more"})
    Path(made.settings.seat_dir("eve"), "kubeconfig").unlink()
    done = _run()
    lines = [line.rstrip() for line in done.stdout.splitlines()]

    assert lines[0] == "✓ node          kind-lab: running"
    assert lines[6] == ""
    assert [line.split()[0] for line in lines[7:11]] == ["seat", "ada", "bob", "eve"]
    assert lines[-3:] == [
        "eve: The seat has no kubeconfig yet (the kubeconfig of eve: is not made).",
        "  → sopslab up",
        "1 of 3 is done; 1 needs help.",
    ]
    assert done.exit_code == 1


def test_how_far_a_learner_is_does_not_make_it_fail(up: Callable[..., Class]) -> None:
    made = up("ada", "bob")
    made.push("bob", {"flux/secrets/develop/backend-secrets.yaml": "kind: ConfigMap\n"})
    done = _run("--json")
    told = json.loads(done.stdout)

    assert done.exit_code == 0
    assert told["up"] is True
    assert [(row["seat"], row["done"], row["needs_help"]) for row in told["class"]] == [
        ("ada", True, False),
        ("bob", False, True),
    ]


def test_a_seat_that_lacks_its_key_makes_it_fail(up: Callable[..., Class]) -> None:
    made = up("ada")
    Path(made.settings.keys_dir, "ada.agekey").unlink()
    done = _run("--json")

    assert done.exit_code == 1
    assert json.loads(done.stdout)["up"] is False


def test_a_controller_that_went_with_its_node_is_said_with_what_brings_it_back(
    up: Callable[..., Class],
) -> None:
    made = up("ada")
    answer = made.kubectl.with_name("kubectl.part")
    objects = json.loads(answer.read_text())["items"]
    lost = next(one for one in objects if one["kind"] == "Node")
    gone = next(one for one in objects if one["metadata"]["name"] == "kustomize-controller")
    for one, kind in ((lost, "Ready"), (gone, "Available")):
        for condition in one["status"]["conditions"]:
            if condition["type"] == kind:
                condition.update(status="Unknown", reason="NodeStatusUnknown")
    answer.write_text(json.dumps({"items": objects}))
    done = _run("--json")

    assert done.exit_code == 1
    (flux,) = [part for part in json.loads(done.stdout)["parts"] if part["name"] == "flux"]
    assert not flux["up"]
    assert "kustomize-controller is not available" in flux["state"]
    assert f"the node {lost['metadata']['name']} is not ready" in flux["state"]


def test_a_spare_is_a_part_of_the_lab_until_somebody_has_it(up: Callable[..., Class]) -> None:
    made = up("ada", "bob")
    seats = json.loads(_roster(made).read_text())
    _roster(made).write_text(json.dumps([seats[0], seats[1] | {"listed": False}]))
    told = json.loads(_run("--json").stdout)
    assert [row["seat"] for row in told["class"]] == ["ada"]
    assert told["parts"][-1] == {"name": "spares", "up": True, "state": "free", "where": "bob"}
    Path(made.settings.keys_dir, "bob.agekey").unlink()
    broken = _run("--json")
    assert (broken.exit_code, json.loads(broken.stdout)["up"]) == (1, False)
    assert "bob is not ready: " in json.loads(broken.stdout)["parts"][-1]["state"]
    given = seats[1] | {"listed": False, "learner": "zoe", "name": "Zoe"}
    _roster(made).write_text(json.dumps([seats[0], given]))
    told = json.loads(_run("--json").stdout)
    assert [row["name"] for row in told["class"]] == ["Ada", "Zoe"]
    assert "spares" not in {part["name"] for part in told["parts"]}


def _certify(made: Class, seat: str, days: int) -> None:
    """Give a seat a certificate that ends in this many days."""
    now, name = datetime.now(UTC), x509.name(seat)
    key = x509.new_key()
    builder = CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now - timedelta(days=30))
    certificate = builder.not_valid_after(now + timedelta(days=days)).sign(key, SHA256())
    path = Path(made.settings.seat_dir(seat), "client.crt")
    path.write_bytes(x509.certificate_pem(certificate))


def test_how_long_the_learners_access_lasts_is_a_part_of_the_lab(
    up: Callable[..., Class],
) -> None:
    made = up("ada", "bob")
    _certify(made, "ada", 29)
    _certify(made, "bob", 28)
    part = json.loads(_run("--json").stdout)["parts"][-1]
    assert (part["name"], part["up"], part["where"]) == (
        "access", True, "certificates of the learners",
    )  # fmt: skip
    end = datetime.now(UTC) + timedelta(days=28)
    assert part["state"].startswith(f"good until {end:%Y-%m-%d}")
    assert "(bob first)" in part["state"]
    _certify(made, "bob", -1)
    done = _run("--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["parts"][-1]["up"]) == (1, False)
    assert told["parts"][-1]["state"].startswith("the kubeconfigs of bob have ended: ")
    ada, bob = told["class"]
    assert (ada["next"], ada["needs_help"]) == ("", False)
    assert bob["next"].startswith("The learner's kubeconfig has ended")
    assert (bob["fix"], bob["needs_help"], bob["steps"]["access"]) == ("sopslab up", True, "no")
    seats = json.loads(_roster(made).read_text())
    seats[1]["expires"] = "2026-01-02T03:04Z"
    _roster(made).write_text(json.dumps(seats))
    assert _run().exit_code == 0, "whose time is over needs no access"


def test_nobody_is_stuck_whose_access_has_ended(up: Callable[..., Class]) -> None:
    made = up("ada", "bob", "eve")
    for name in ("ada", "bob"):
        made.push(name, {"flux/secrets/develop/backend-secrets.yaml": "kind: ConfigMap\n"})
    seats = json.loads(_roster(made).read_text())
    seats[0]["expires"], seats[1]["expires"] = "2026-01-02T03:04+01:00", "2999-01-02T03:04Z"
    _roster(made).write_text(json.dumps(seats))
    told = json.loads(_run("--json").stdout)["class"]
    assert [(row["seat"], row["needs_help"], row["expires"]) for row in told] == [
        ("ada", False, "2026-01-02T03:04+01:00"),
        ("bob", True, "2999-01-02T03:04Z"),
        ("eve", False, None),
    ]
    assert told[0]["steps"]["key"] == "yes"
    assert told[0]["next"] == "the time was over at 2026-01-02 03:04+01:00."
    table = _run().stdout
    assert "2026-01-02 03:04+01:00" in table and "2999-01-02 03:04+00:00" in table


def test_csv_is_for_the_class_only(up: Callable[..., Class]) -> None:
    up("ada", "bob", ada="=cmd|' /C calc'!A0")
    done = _run("--csv")
    header, *lines = csv.reader(io.StringIO(done.stdout))

    assert done.exit_code == 0
    assert [line[header.index("name")] for line in lines] == ["'=cmd|' /C calc'!A0", "Bob"]


def test_csv_has_all_of_a_long_line(
    up: Callable[..., Class], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learner may have pushed a file whose name has thousands of characters."""
    up("ada")
    line = '"ada","' + "x" * 5000 + '"\n'
    monkeypatch.setattr("sopslab.cli.answers.lines_of_class", lambda _rows: line)
    assert _run("--csv").stdout == line


def test_without_a_class_there_is_the_lab_only(up: Callable[..., Class]) -> None:
    _roster(up("ada")).unlink()
    text, as_json, as_csv = _run(), _run("--json"), _run("--csv")

    assert len(text.stdout.splitlines()) == 6
    assert set(json.loads(as_json.stdout)) == {"lab", "up", "parts"}
    assert len(as_csv.stdout.splitlines()) == 1
    assert {done.exit_code for done in (text, as_json, as_csv)} == {0}


def test_a_roster_that_is_damaged_is_said(up: Callable[..., Class]) -> None:
    _roster(up("ada")).write_text("[{")
    done = _run()

    assert done.exit_code == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json", "--csv"), "exclude each other"),
        (("--watch", "--json"), "exclude each other"),
        (("--watch",), "--watch needs a terminal"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple[str, ...], said: str) -> None:
    done = _run(*arguments)

    assert done.exit_code == 2
    assert said in done.stderr


def _until(terminal: int, wanted: str, seconds: float = 30) -> str:
    """Return the output of a terminal as soon as it contains `wanted`."""
    deadline, seen = time.monotonic() + seconds, b""
    while wanted.encode() not in seen:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        if not ready:
            raise AssertionError(f"{wanted!r} was not shown: {seen.decode(errors='replace')}")
        seen += os.read(terminal, 65536)
    return seen.decode(errors="replace")


def test_watch_looks_again_until_it_is_interrupted(up: Callable[..., Class]) -> None:
    made = up("ada", "bob")
    kubeconfig = Path(made.settings.seat_dir("bob"), "kubeconfig")
    kubeconfig.rename(kubeconfig.with_suffix(".away"))
    terminal, other = pty.openpty()
    environment: dict[str, Any] = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sopslab", "status", "--watch"],
        stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        os.close(other)
        assert "1 of 2" in _until(terminal, "needs help")
        kubeconfig.with_suffix(".away").rename(kubeconfig)
        _until(terminal, "2 of 2 are done")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        assert "Traceback" not in _until_closed(terminal)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _until_closed(terminal: int) -> str:
    seen = b""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            return seen.decode(errors="replace")
        if not read:
            return seen.decode(errors="replace")
        seen += read


def test_a_hint_is_for_the_step_that_the_row_of_a_seat_is_at(
    up: Callable[..., Class], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The function changes the environment of the whole process.
    monkeypatch.setattr("sopslab.cli.verbs.hint.keep_to_the_lab", lambda _settings: None)
    made = up("ada", "bob")
    say_format(made.settings)
    made.push("bob", {"flux/secrets/develop/backend-secrets.yaml": "kind: ConfigMap\n"})
    said = [CliRunner().invoke(main, ["hint", seat]).stdout for seat in ("ada", "bob", "bob")]

    assert said[0] == "all steps of the chapter are done, so there is no hint to give\n"
    assert said[1].startswith("Hint 1 of 3, for the step `encrypted`:\n")
    assert said[2].startswith("Hint 2 of 3, for the step `encrypted`:\n")
    rows = {row["seat"]: row for row in json.loads(_run("--json").stdout)["class"]}
    assert (rows["ada"]["hints"], rows["bob"]["hints"]) == (0, 2)


def test_a_seat_that_cannot_be_judged_is_named_and_hides_no_other(
    up: Callable[..., Class], monkeypatch: pytest.MonkeyPatch
) -> None:
    up("ada", "bob")

    def mistaken(seat: Seat, seen: Seen) -> Row:
        if seat.id == "ada":
            raise KeyError("a secret")
        return judge(seat, seen)

    monkeypatch.setattr("sopslab.lab.board.judge", mistaken)
    ada, bob = json.loads(_run("--json").stdout)["class"]

    assert bob["done"]
    assert (set(ada["steps"].values()), ada["fix"]) == ({"unknown"}, "sopslab doctor ada")
    assert "KeyError" in ada["next"] and "a secret" not in ada["next"]
