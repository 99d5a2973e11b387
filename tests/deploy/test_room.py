"""A room, with pyinfra and OpenSSH for real: verbs at machines on loopback, of which each has a
`sopslab` that says what a test has it say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.inputs import CHOOSING, LOCAL
from sopslab.errors import Exit
from sopslab.layout import PROJECT
from sopslab.model.events import Operation, Planned, Started, to_line
from sopslab.model.steps import Step
from sopslab.run import runner
from sopslab.run.runner import Result as RunResult
from tests.sshd import Seat, make_key, seat
from tests.texts import write_program

LEARNERS = {"ada": "table 1", "bob": "table 2", "zoe": "table 2"}
STEP = Operation(Step.CANARY, "Prove it")
# The output of `sopslab --json` for a run: its events, and the answer.
RUN = to_line(Planned((STEP,))) + to_line(Started(STEP)) + '{"ok": true,\n "changed": 2}\n'
WELL = f"cat <<'END'\n{RUN}END"


@dataclass
class Room:
    """The machines by learner, and the runs of verbs on them."""

    seats: dict[str, Seat]
    root: Path

    def sopslab(self, *words: str) -> Result:
        return CliRunner().invoke(main, words)

    def asked(self, learner: str) -> str:
        """Return the last command line that a seat's `sopslab` got."""
        told = self.seats[learner].folder / "told"
        return told.read_text().strip() if told.exists() else ""

    def program(self, learner: str, text: str) -> None:
        """Replace a seat's `sopslab` by some lines of sh."""
        write_program(
            self.seats[learner].folder / ".local/share/sops-lab/bin/sopslab",
            f'#!/bin/sh\necho "$@" >"$HOME/told"\n{text}\n',
        )


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    for name in (*CHOOSING, "SSH_AUTH_SOCK", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    key, host_key = make_key(tmp_path / "keys" / "own"), make_key(tmp_path / "keys" / "host")
    with ExitStack() as stack:
        seats = {
            learner: stack.enter_context(seat(tmp_path / learner, key, host_key))
            for learner in LEARNERS
        }
        for one in seats.values():
            for name in ("sh", "cat", "mv", "rm", "cmp", "sleep", "base64"):
                (one.programs / name).symlink_to(str(shutil.which(name)))
        made = Room(seats, tmp_path / "root")
        for learner in seats:
            made.program(learner, WELL)
        machines = {
            learner: {
                "host": one.machine.host, "port": one.machine.port, "user": one.machine.user,
                "key": str(key),
            }
            for learner, one in seats.items()
        }  # fmt: skip
        roster = [{"id": one, "name": one, "group": group} for one, group in LEARNERS.items()]
        (tmp_path / "class.yaml").write_text(json.dumps(roster))
        (tmp_path / "machines.json").write_text(json.dumps(machines))
        monkeypatch.setenv("SOPSLAB_INVENTORY", "inventories/seats.py")
        monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "class.yaml"))
        monkeypatch.setenv("SOPSLAB_MACHINES", str(tmp_path / "machines.json"))
        monkeypatch.setenv("SOPSLAB_ROOT", str(made.root))
        yield made


def test_a_verb_runs_at_the_seats_that_are_meant_and_one_dead_costs_the_others_nothing(
    room: Room,
) -> None:
    room.seats["bob"].close()
    escape = "\\u001b]0;owned\\u0007"
    room.program(
        "zoe",
        f'cat <<\'END\'\n{{"ok": false, "problems": ["it is broken{escape}"]}}\nEND\nexit 12',
    )
    done = room.sopslab("fix")
    assert done.exit_code == 4
    lines = done.stdout.splitlines()
    assert "ada: canary 1/1: Prove it" in lines
    assert any(line.startswith("ada: done, 2 changes") for line in lines)
    assert any(line.startswith("zoe: it is broken") for line in lines)
    assert [line for line in lines if line.startswith("bob: ") and "127.0.0.1" in line]
    assert "1 of 3 seats are done; not: bob, zoe" in done.stderr
    assert room.asked("ada") == "fix --json"
    (log,) = (room.root / "rooms" / "lab" / "log").glob("*.log")
    words = log.read_bytes()
    assert b"it is broken\\x1b]0;owned" in words and not {0x1B, 0x07} & set(words)
    # The log is all that is kept, and nobody else may read it.
    assert (room.root / "rooms" / "lab").stat().st_mode & 0o777 == 0o700
    assert not (room.root / "labs").exists()


def test_the_store_that_is_filled_is_the_controllers(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, str]] = []

    def run(
        deploy: str, _data: object, log: Path, _tell: object, inventory: str, *_: object
    ) -> Any:
        ran.append((deploy, inventory))
        return RunResult(Exit.OK, 0.0, [], [], log)

    monkeypatch.setattr(runner, "run", run)
    done = room.sopslab("fetch", "--json")
    assert (done.exit_code, ran) == (0, [("deploys/fetch.py", LOCAL)]), done.output
    assert [room.asked(learner) for learner in LEARNERS] == ["", "", ""]


def test_seats_are_chosen_and_told_the_rest(room: Room) -> None:
    done = room.sopslab("reset", "ada", "--limit", "b*", "--to", "wired", "--yes", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["changed"], list(answer["seats"])) == (True, 4, ["ada", "bob"])
    assert answer["seats"]["ada"]["answer"] == {"ok": True, "changed": 2}
    assert room.asked("ada") == room.asked("bob") == "reset --to=wired --yes --json"
    assert room.seats["zoe"].logins == 0


def test_what_a_dry_run_would_do_is_said_of_each_seat_without_a_question(room: Room) -> None:
    plans = {"ada": ["main goes back", "Flux is resumed\u009b2J"], "bob": []}
    for learner, plan in plans.items():
        answer = json.dumps({"ok": True, "changed": 0, "plan": {"learner": plan}})
        room.program(learner, f"cat <<'END'\n{answer}\nEND")
    done = room.sopslab("reset", "ada", "bob", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["ada: main goes back", "ada: Flux is resumed\\x9b2J"]
    assert any(line.startswith("bob: done, 0 changes") for line in lines)
    assert room.asked("ada") == "reset --dry-run --yes --json"


def test_no_seat_waits_for_another(room: Room) -> None:
    # Each run ends only after all have begun.
    begun = room.root.parent / "begun"
    begun.mkdir()
    waiting = (
        f'echo >"{begun}/$$"; n=0; until set -- {begun}/*; [ "$#" -eq 3 ]; do n=$((n+1));'
        f" [ $n -lt 600 ] || exit 9; sleep 0.1; done\n{WELL}"
    )
    for learner in room.seats:
        room.program(learner, waiting)
    answer = json.loads(room.sopslab("verify", "--json").stdout)
    assert (answer["ok"], answer["problems"]) == (True, [])


def test_what_is_missing_for_all_seats_is_said_once_and_no_seat_is_touched(room: Room) -> None:
    done = room.sopslab("up", "inventories/seats.py", "--json")
    assert done.exit_code == 11
    answer = json.loads(done.stdout)
    store = room.root / "store"
    assert answer["problems"] == [f"the store {store} is not full: run `sopslab fetch`"]
    assert answer["seats"] == {}
    assert all(one.logins == 0 for one in room.seats.values())
    # The lock lets one run at a time work on a room.
    assert (room.root / "rooms" / "lab" / "lock").exists()


STATUS = """case $1 in
status) echo '{"up": %s, "parts": [{"name": "cluster", "up": %s, "state": "is not there"}]}'
  exit %d;;
verify) echo '{"checks": [{"id": "pushed", "status": "ok"}, {"id": "wired", "status": "failed",
  "found": "it is not listed.", "next": "list it"}]}'; exit 1;;
esac"""


def test_status_says_what_is_up_and_how_far_a_learner_is(room: Room) -> None:
    room.program("ada", STATUS % ("true", "true", 0))
    room.program("bob", STATUS % ("false", "false", 1))
    done = room.sopslab("status", "--limit", "ada", "--limit", "bob")
    assert done.exit_code == 4
    _, ada, bob, last = [line.rstrip() for line in done.stdout.splitlines()]
    assert " ".join(ada.split()) == "✓ ada 1 of 2 wired: it is not listed: list it"
    assert " ".join(bob.split()) == "✗ bob cluster: is not there"
    assert last == "1 of 2 seats are up."
    # A seat whose lab is not up is asked for nothing more.
    assert (room.asked("ada"), room.asked("bob")) == ("verify --json", "status --json")


def test_support_brings_a_report_of_each_seat(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for learner in ("ada", "bob"):
        made = "" if learner == "bob" else 'printf "a\\0report" >"$HOME/${2#--output=}"; '
        room.program(learner, f"{made}echo '{{\"ok\": true}}'")
    done = room.sopslab("support", "--limit", "[ab]*", "--json")
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["files"]) == (4, {"ada": "support-ada.tar.gz"})
    assert [one["ok"] for one in answer["seats"].values()] == [True, False]
    report = tmp_path / "support-ada.tar.gz"
    assert report.read_bytes() == b"a\0report"
    assert report.stat().st_mode & 0o777 == 0o600


def test_pyinfra_itself_reaches_the_seats(room: Room) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "inventories/seats.py", "--limit", "@seat/ada", "-vv",
         "--yes", "exec", "--", "echo", "it is $HOME"],
        cwd=PROJECT, env={**os.environ, "PYINFRA_PROGRESS": "off"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert f"it is {room.seats['ada'].folder}" in done.stdout
    assert room.seats["bob"].logins == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reset"], "name the learners, or everybody with --limit '*'"),
        (["verify", "--junit", "x.xml"], "--junit goes with a lab on this machine"),
        (["status", "--limit", "nobody"], "nobody: no seat of the roster is called so"),
        (["break", "--random", "ada"], "--random needs a --seed"),
        (["up", "--dry-run"], "--dry-run and --junit go with a lab on this machine"),
        (["down"], "Aborted"),
        (["board"], "`sopslab board` is about a lab on this machine"),
        (["up", "inventories/local.py", "--limit", "ada"], "--machines and --limit go with"),
    ],
)
def test_what_a_room_does_not_do_is_refused_before_anything(
    words: list[str], said: str, room: Room
) -> None:
    done = room.sopslab(*words)
    assert done.exit_code != 0
    assert said in done.stderr
    assert all(seat.logins == 0 for seat in room.seats.values())
