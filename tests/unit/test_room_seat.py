"""Work at a seat, over OpenSSH: its lab file, its run, and what keeps the seat from either."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from sopslab.config.inputs import CHOOSING
from sopslab.config.places import Room
from sopslab.config.settings import Settings
from sopslab.errors import Exit, LabError
from sopslab.layout import PROJECT
from sopslab.model.events import GoesOn, to_line
from sopslab.room import connection as at_seat_connection
from sopslab.room import seat as at_seat
from sopslab.room.client import client
from sopslab.room.connection import Connection, Ended
from sopslab.room.delivery import Delivered, Unfit
from sopslab.room.instructor import recipient
from sopslab.room.stock import lab_file
from tests.sshd import Seat, make_key, seat
from tests.texts import write_program

HOME_ROOT = ".local/share/sops-lab"
CARGO: Any = None  # another test covers what travels


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seat]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    # Another test covers how soon a dead machine is noticed; this machine may be busy.
    monkeypatch.setattr(at_seat_connection, "FIRST_S", 60)
    keys = tmp_path / "keys"
    with seat(tmp_path / "seat", make_key(keys / "own"), make_key(keys / "host")) as made:
        for name in ("sh", "cat", "mv", "rm", "cmp", "base64"):
            (made.programs / name).symlink_to(str(shutil.which(name)))
        (made.folder / HOME_ROOT / "bin").mkdir(parents=True)
        yield made


@pytest.fixture
def connection(machine: Seat, tmp_path: Path) -> Iterator[Connection]:
    made = Connection(client(tmp_path / "ssh", machine.key, ()), machine.machine)
    yield made
    made.close()


def program(machine: Seat, text: str) -> None:
    write_program(machine.folder / HOME_ROOT / "bin" / "sopslab", f"#!/bin/sh\n{text}\n")


def nothing(_doing: str) -> None:
    pass


@pytest.fixture
def delivered(machine: Seat, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets how a delivery ends; nothing is sent."""

    def end(entries: int = 0, error: LabError | None = None) -> None:
        def deliver(*_: object) -> Delivered:
            if error is not None:
                raise error
            return Delivered(str(machine.folder / HOME_ROOT), False, entries, 0)

        monkeypatch.setattr(at_seat, "deliver", deliver)

    end()
    return end


def give(connection: Connection, text: bytes = b"lab: demo\n") -> at_seat.Outcome:
    return at_seat.give_lab(connection, CARGO, text, ["up"], nothing, nullcontext())


def test_a_seat_gets_its_lab_file_and_makes_the_lab(
    machine: Seat, connection: Connection, delivered: Callable[..., None]
) -> None:
    program(machine, f'cat "$HOME/{HOME_ROOT}/lab.yaml" >"$HOME/read"; echo "{{\\"changed\\": 3}}"')
    delivered(entries=7)
    assert give(connection) == at_seat.Outcome(0, 5, (), '{"changed": 3}')
    file = machine.folder / HOME_ROOT / "lab.yaml"
    assert (machine.folder / "read").read_bytes() == file.read_bytes() == b"lab: demo\n"
    assert file.stat().st_mode & 0o777 == 0o600
    # What is already there is no change.
    delivered()
    assert give(connection).changed == 3
    assert give(connection, b"lab: other\n").changed == 4
    assert sorted(one.name for one in file.parent.iterdir()) == ["bin", "lab.yaml"]


def test_what_keeps_a_seat_from_it_is_said_and_nothing_is_run(
    machine: Seat, connection: Connection, delivered: Callable[..., None]
) -> None:
    program(machine, 'echo >"$HOME/ran"')
    delivered(error=Unfit(["seat: git is missing", "seat: docker is missing"]))
    refused = at_seat.Outcome(Exit.HOST, 0, ("seat: git is missing", "seat: docker is missing"))
    assert give(connection) == refused
    assert not (machine.folder / "ran").exists()
    assert not (machine.folder / HOME_ROOT / "lab.yaml").exists()


def test_what_a_seat_says_of_itself_is_bounded_where_it_is_refused(
    connection: Connection, delivered: Callable[..., None]
) -> None:
    delivered(error=Unfit([f"seat: {'x' * 100_000}"] * 100))
    outcome = give(connection)
    assert len(outcome.problems) <= 20 and max(map(len, outcome.problems)) < 1_000


def test_a_run_that_a_killed_controller_left_is_waited_for(
    machine: Seat,
    connection: Connection,
    delivered: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(at_seat, "_PAUSE_S", 0)
    program(
        machine,
        'echo x >>"$HOME/runs"; if [ "$(cat "$HOME/runs")" = x ]; then'
        ' echo "{\\"problems\\": [\\"busy\\"]}"; exit 3; fi; echo "{}"',
    )
    assert give(connection).code == 0
    monkeypatch.setattr(at_seat, "_OTHER_RUN_S", -1)
    (machine.folder / "runs").unlink()
    outcome = give(connection)
    assert (outcome.code, outcome.problems) == (Exit.LOCKED, ("busy",))


@pytest.mark.parametrize(
    ("text", "code", "problem"),
    [
        ("exit 127", 127, "there is no lab on this machine yet"),
        ("echo nothing; exit 2", 2, "the verb ended with exit code 2 (bad input"),
        ("echo nothing", 1, "this machine answers what no lab of ours does"),
        (
            "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
            1,
            "this machine",
        ),
    ],
)
def test_what_is_no_answer_is_said_in_one_sentence(
    text: str, code: int, problem: str, machine: Seat, connection: Connection
) -> None:
    program(machine, text)
    outcome = at_seat.run_verb(connection, ["verify"], nothing)
    (said,) = outcome.problems
    assert (outcome.code, outcome.changed, outcome.answer) == (code, 0, "")
    assert said.startswith(problem)


def test_a_machine_without_a_lab_says_so(connection: Connection) -> None:
    outcome = at_seat.run_verb(connection, ["verify"], nothing)
    assert outcome.problems[0].startswith("there is no lab on this machine yet")


def test_a_verb_works_on_the_lab_that_was_delivered_whatever_the_seats_shell_sets(
    machine: Seat, connection: Connection
) -> None:
    variables = " ".join(f"{name}=/elsewhere" for name in ("XDG_DATA_HOME", *CHOOSING))
    machine.stand_in("sh", f'export {variables}; exec {shutil.which("sh")} "$@"')
    root = machine.folder / HOME_ROOT
    (root / "lab.yaml").write_text("lab: demo\n")
    write_program(
        root / "bin" / "sopslab",
        f"#!{sys.executable}\n"
        f"import json, sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from sopslab.config.inputs import meant_lab\n"
        "print(json.dumps(meant_lab()._asdict()))\n",
    )
    outcome = at_seat.run_verb(connection, ["verify"], nothing)
    meant = {"root": str(root), "lab": "demo", "learner": "learner"}
    assert (outcome.code, json.loads(outcome.answer)) == (0, meant)


def test_a_file_of_a_seat_is_brought_and_removed_there(
    machine: Seat, connection: Connection
) -> None:
    content = bytes(range(256)) * 100
    (machine.folder / "a report").write_bytes(content)
    assert at_seat.bring(connection, "a report") == content
    assert not (machine.folder / "a report").exists()
    with pytest.raises(LabError, match="could not be brought here"):
        at_seat.bring(connection, "a report")


@pytest.mark.parametrize("line", ["", "AAAA"])
def test_a_file_without_end_is_not_brought(
    line: str, machine: Seat, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_seat, "_MOST_BROUGHT", 1_000)
    endless = machine.programs / "base64"
    endless.unlink()
    write_program(endless, f"#!/bin/sh\nwhile :; do echo {line}; done\n")
    with pytest.raises(LabError, match="too large"):
        at_seat.bring(connection, "a report")


def test_a_verb_has_its_time_however_much_it_tells(
    machine: Seat, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_seat, "_RUN_S", 1)
    machine.programs.joinpath("sleep").symlink_to(str(shutil.which("sleep")))
    program(machine, 'while :; do echo \'{"event": "nothing"}\'; sleep 0.1; done')
    outcome = at_seat.run_verb(connection, ["verify"], nothing)
    assert (outcome.code, outcome.answer) == (Exit.HOST, "")


def test_a_verb_that_says_nothing_is_not_waited_for(
    machine: Seat, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_seat, "_SILENCE_S", 1)
    machine.programs.joinpath("sleep").symlink_to(str(shutil.which("sleep")))
    program(machine, "exec sleep 600")
    outcome = at_seat.run_verb(connection, ["rotate"], nothing)
    assert outcome.code == Exit.HOST
    assert "then does not answer" in outcome.problems[0]


@pytest.mark.parametrize(
    ("words", "seconds"),
    [(["rotate"], 300), (["verify", "--wait=60"], 360), (["verify", "--wait=0.5"], 300)],
)
def test_a_verb_has_its_time_anew_with_each_line_and_what_it_was_told_to_wait_besides(
    words: list[str], seconds: int
) -> None:
    patience: list[float] = []
    lines = [to_line(GoesOn()).strip(), "{}", None]

    class Told:
        def line(self, most: float) -> str | None:
            patience.append(most)
            return lines[len(patience) - 1]

        def end(self, _most: float) -> Ended:
            return Ended(0, b"", b"")

    connection: Any = SimpleNamespace(start=lambda _command: nullcontext(Told()))
    assert at_seat.run_verb(connection, words, nothing).code == Exit.OK
    assert patience == [seconds] * 3


# What the controller has ready


def test_a_seat_is_told_what_its_lab_is_and_no_more(lab: Callable[..., Settings]) -> None:
    settings = lab(
        lab="room", age_key_type="pq", machine={"host": "seat", "key": "/k"},
        learner={"id": "no", "name": "Zoë: #1", "email": "zoe@example.org"}, seats_at_once=3,
    )  # fmt: skip
    told = yaml.safe_load(lab_file(settings, "age1recipient"))
    # The seat's machine accepts all of these settings.
    assert lab(**{**told, "instructor_recipient": None}).learner == settings.learner
    assert told == {
        "lab": "room",
        "age_key_type": "pq",
        "git_port": 8418,
        "learner": {"id": "no", "name": "Zoë: #1", "email": "zoe@example.org"},
        "instructor_recipient": "age1recipient",
    }


def test_a_password_goes_where_it_is_needed_and_nowhere_else(
    lab: Callable[..., Settings],
) -> None:
    account = {"git_username": "lab", "git_password": "s3cret"}
    assert b"s3cret" not in lab_file(lab(**account), "age1recipient")
    told = yaml.safe_load(lab_file(lab(git_url="https://git.example", **account), "age1r"))
    assert told["git_password"] == "s3cret"


def test_the_instructors_identity_is_made_once_and_never_anew(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> None:
    tools("age-keygen")
    room: Room = lab().room
    made = recipient(room, "x25519")
    assert made.startswith("age1") and recipient(room, "x25519") == made
    # A recipient in the settings is used, and no identity is needed.
    assert recipient(replace(room, instructor_recipient="age1given"), "x25519") == "age1given"
    file = Path(room.keys_dir, "instructor.agekey")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not Path(room.root, "labs").exists()
    file.chmod(0o644)
    with pytest.raises(LabError, match="restore it from your backup") as caught:
        recipient(room, "x25519")
    assert caught.value.code is Exit.KEYS
    file.unlink()
    with pytest.raises(LabError, match="restore it from your backup"):
        recipient(room, "x25519")
    assert not file.exists()


def test_an_identity_that_was_brought_without_its_record_is_not_made_anew_either(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> None:
    tools("age-keygen")
    room: Room = lab().room
    made = recipient(room, "x25519")
    file = Path(room.keys_dir, "instructor.agekey")
    file.with_suffix(".pub").unlink()
    assert recipient(room, "x25519") == made
    file.unlink()
    with pytest.raises(LabError, match="restore it from your backup"):
        recipient(room, "x25519")
    assert not file.exists()
