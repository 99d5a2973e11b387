"""The learners' machines: what a roster may say about them, and which of its learners are meant."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.column_choice import Named, choose
from sopslab.config.roster import read_roster, without_machines
from sopslab.config.roster_import import propose, render
from sopslab.config.seats import chosen, seats_of
from sopslab.config.settings import SeatMachine, load_settings
from sopslab.config.tables import read_table
from sopslab.errors import InputError
from sopslab.model.machines import Machine


def hostkey(kind: str = "ssh-ed25519", inside: str | None = None) -> str:
    """Return a public key of a kind; `inside` is the kind that its bytes name."""
    named = (inside or kind).encode()
    key = len(named).to_bytes(4, "big") + named + bytes(36)
    return f"{kind} {base64.b64encode(key).decode()}"


ROW: dict[str, str | None] = {
    "id": "ada",
    "name": "Ada",
    "email": "ada@example.org",
    "group": "table 1",
}
OTHERS: list[dict[str, str | None]] = [
    {"id": "bob", "name": "Bob", "email": "bob@example.org", "group": "table 2"},
    {"id": "abe", "name": "Abe", "email": "abe@example.org", "group": None},
]


def rows(folder: Path, text: str, name: str = "class.yaml") -> list[dict[str, str | None]]:
    (folder / name).write_text(text)
    return read_roster(str(folder / name))


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        rows(folder, text)
    return caught.value.problems


def test_a_roster_says_where_machines_are_in_yaml_and_in_csv(tmp_path: Path) -> None:
    key = hostkey()
    wanted = {
        "id": "ada", "name": "Ada", "email": "ada@example.org", "group": None,
        "expires": None,
        "host": "seat-7.example.org", "user": "teacher", "port": "2222", "hostkey": key,
    }  # fmt: skip
    yaml = (
        f"- {{id: ada, name: Ada, host: seat-7.example.org, user: teacher, port: 2222,"
        f" hostkey: {key}}}\n- {{id: bob, name: Bob}}\n"
    )
    csv = (
        f"id,name,host,user,port,hostkey\nada,Ada,seat-7.example.org,teacher,2222,{key}\n"
        "bob,Bob,,,,\n"
    )
    for read in (rows(tmp_path, yaml), rows(tmp_path, csv, "class.csv")):
        assert read[0] == wanted
        assert "host" not in read[1]
        # A class on one machine has no use for these fields.
        assert list(without_machines(read)[0]) == ["id", "name", "email", "group", "expires"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("host: '-oProxyCommand=id'", "host '-oProxyCommand=id' is refused: the name or the IPv4"),
        ("host: ada@seat", "host 'ada@seat' is refused"),
        ("host: 'seat:22'", "host 'seat:22' is refused"),
        ("host: 'seat%h'", "host 'seat%h' is refused"),
        ("host: seat-", "host 'seat-' is refused"),
        (f"host: {'a' * 254}", "is refused"),
        ("{host: seat, user: '-l'}", "user '-l' is refused: a login name"),
        ("{host: seat, user: 'a b'}", "user 'a b' is refused"),
        ("{host: seat, port: 0}", "port '0' is refused: a port from 1"),
        ("{host: seat, port: 65536}", "port '65536' is refused"),
        ("{host: seat, port: 0x16}", "port '0x16' is refused"),
        ("{host: seat, port: true}", "text is needed, and YAML reads this as true or false"),
        ("{host: seat, hostkey: ssh-ed25519}", "hostkey 'ssh-ed25519' is refused: a public host"),
        (f"{{host: seat, hostkey: {hostkey()} root@seat}}", "without a comment"),
        (f"{{host: seat, hostkey: {hostkey(inside='ssh-rsa')}}}", "is refused"),
        (f"{{host: seat, hostkey: {hostkey('ssh-dss')}}}", "is refused"),
        ("{user: teacher, port: 22}", "user, port: host is missing"),
    ],
)
def test_what_is_no_machine_is_refused_with_its_place(said: str, why: str, tmp_path: Path) -> None:
    more = said.strip("{}") if said.startswith("{") else said
    (problem,) = problems(tmp_path, f"- {{id: ada, name: Ada, {more}}}\n")
    assert f"{tmp_path}/class.yaml:1: " in problem
    assert why in problem


def test_two_learners_with_one_machine_are_one_problem(tmp_path: Path) -> None:
    text = (
        "- {id: ada, name: Ada, host: seat}\n- {id: bob, name: Bob, host: SEAT, port: 22}\n"
        "- {id: cyd, name: Cyd, host: seat, port: 2222}\n"
    )
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"{tmp_path}/class.yaml:2: host 'SEAT' is there in line 1, too")


def test_adding_to_a_roster_keeps_its_machines(tmp_path: Path) -> None:
    read = rows(tmp_path, f"- {{id: ada, name: Ada, host: seat, hostkey: {hostkey()}}}\n")
    (tmp_path / "export.csv").write_text("name,email\nBob,bob@example.org\n")
    table = read_table(str(tmp_path / "export.csv"), 10)
    columns = choose(table, Named(None, (), None, None))
    assert rows(tmp_path, render(propose(table, columns, read).learners))[0] == read[0]


# Seats


def test_each_learner_gets_a_lab_of_their_own(lab_data: Any) -> None:
    found = seats_of({"lab": "room"}, [{**ROW, "host": "seat-1", "port": "2222"}], {})
    assert found == {
        "ada": {
            "lab": "room",
            "learner": {"id": "ada", "name": "Ada", "email": "ada@example.org"},
            "machine": {"host": "seat-1", "port": 2222},
        }
    }
    settings = load_settings(lab_data(**found["ada"]))
    assert settings.machine == SeatMachine(host="seat-1", port=2222)
    assert settings.machine.reached == Machine("seat-1", 2222)
    assert settings.learner_repository == "ada/lab"
    assert settings.room.lab_dir == f"{settings.root}/rooms/room"
    assert settings.room.keys_dir == f"{settings.root}/rooms/room/keys"


def test_all_who_have_no_machine_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        seats_of({}, [ROW, {**OTHERS[0], "host": "seat"}, OTHERS[1]], {})
    (problem,) = caught.value.problems
    assert problem.startswith("ada, abe: no machine is known: ")


MACHINES: dict[str, dict[str, Any]] = {
    "ada": {"host": "10.0.0.5", "user": "vagrant", "port": 2200, "key": "/k"},
    "pc-7": {"host": "10.0.0.6"},
}


def test_machines_from_elsewhere_belong_to_whom_they_are_called_like() -> None:
    found = seats_of({}, [ROW, {**OTHERS[0], "host": "pc-7", "user": "bob"}], MACHINES)
    assert found["ada"]["machine"] == MACHINES["ada"]
    assert found["bob"]["machine"] == {"host": "10.0.0.6", "user": "bob"}
    with pytest.raises(InputError) as caught:
        seats_of({}, [ROW, OTHERS[1]], MACHINES)
    assert caught.value.problems == (
        "abe: no machine is called so: name one of ada, pc-7 as `host` in the roster",
    )


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"cluster_provider": "existing"}, "cluster_provider"),
        ({"git_bind": "192.0.2.7"}, "git_bind"),
        ({"expires": "2026-12-01T18:00+01:00"}, "expires"),
        ({"learner": {"id": "ada"}}, "learner"),
        ({"seats": [ROW]}, "seats"),
    ],
)
def test_what_cannot_be_so_on_every_machine_is_refused(told: Mapping[str, Any], name: str) -> None:
    with pytest.raises(InputError) as caught:
        seats_of(told, [{**ROW, "host": "seat"}], {})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [name]


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ([], ["ada", "bob", "abe"]),
        (["bob", "ada"], ["ada", "bob"]),
        (["a*"], ["ada", "abe"]),
        (["table 1"], ["ada"]),
        (["table*"], ["ada", "bob"]),
        (["*"], ["ada", "bob", "abe"]),
        (["table 2", "abe"], ["bob", "abe"]),
    ],
)
def test_seats_are_chosen_by_id_group_and_glob(wanted: list[str], meant: list[str]) -> None:
    assert chosen([ROW, *OTHERS], wanted) == meant


def test_everything_that_nobody_answers_to_is_told() -> None:
    with pytest.raises(InputError) as caught:
        chosen([ROW, *OTHERS], ["ada", "Bob", "z*", ""])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["Bob", "z*", ""]
