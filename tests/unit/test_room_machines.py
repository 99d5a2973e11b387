"""Machines that Terraform and Vagrant made, as pyinfra's own inventories name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.errors import InputError
from sopslab.room.machines import as_file, known_machines
from tests.texts import write_program

OUTPUT = {
    "seats": {
        "value": [
            {"name": "ada", "ssh_hostname": "10.0.0.5", "ssh_user": "debian", "zone": "a"},
            "10.0.0.6",
        ]
    },
    "odd": {"value": [{"name": "x", "ssh_hostname": "-oProxyCommand=id"}]},
}
SSH_CONFIG = """\
Host pc-7
  HostName 127.0.0.1
  User vagrant
  Port 2222
  StrictHostKeyChecking no
  IdentityFile /home/ada/.vagrant/key
"""
STATUS = "1700000000,pc-7,state,running\n1700000000,off,state,poweroff\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that puts a program of some lines of sh on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def make(name: str, text: str) -> None:
        write_program(tmp_path / name, f"#!/bin/sh\n{text}\n")

    return make


def test_machines_come_from_an_output_of_terraform(
    program: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program("terraform", f"cat <<'END'\n{json.dumps(OUTPUT)}\nEND")
    monkeypatch.setenv("SOPSLAB_MACHINES", "@terraform/seats.value")
    found = known_machines()
    assert found == {
        "ada": {"host": "10.0.0.5", "user": "debian"},
        "10.0.0.6": {"host": "10.0.0.6"},
    }
    # The run itself reads the machines from a file.
    (tmp_path / "machines.json").write_bytes(as_file(found))
    monkeypatch.setenv("SOPSLAB_MACHINES", str(tmp_path / "machines.json"))
    assert known_machines() == found


def test_machines_come_from_vagrant(
    program: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("vagrant", f"case $1 in status) cat <<'END'\n{STATUS}END\n;; *) cat <<'END'\n"
            f"{SSH_CONFIG}END\n;; esac")  # fmt: skip
    monkeypatch.setenv("SOPSLAB_MACHINES", "@vagrant")
    assert known_machines() == {
        "pc-7": {
            "host": "127.0.0.1", "user": "vagrant", "port": 2222, "key": "/home/ada/.vagrant/key",
        }
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("@terraform/none", "@terraform/none has no machines"),
        ("@terraform/seats.value --help", "is not @vagrant or @terraform/OUTPUT"),
        ("@terraform/odd.value", "@terraform/odd.value: x has no address"),
        ("@docker/debian", "is not @vagrant or @terraform/OUTPUT"),
        ("/nowhere.json", "cannot be read: name @vagrant or @terraform/OUTPUT"),
    ],
)
def test_what_is_no_source_of_machines_is_refused(
    source: str, said: str, program: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("terraform", f"cat <<'END'\n{json.dumps(OUTPUT)}\nEND")
    monkeypatch.setenv("SOPSLAB_MACHINES", source)
    with pytest.raises(InputError, match=said):
        known_machines()


def test_without_a_source_the_roster_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOPSLAB_MACHINES", raising=False)
    assert known_machines() == {}
