"""What tests of a room share: machines on loopback, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sopslab.model.machines import Machine
from sopslab.room import connection
from sopslab.room.client import Client, client
from sopslab.room.connection import Connection
from tests.sshd import Seat, make_key, seat


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with OpenSSH keys."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other", "host", "other-host"):
        make_key(folder / name)
    return folder


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give busy machines a minute for their first answer."""
    monkeypatch.setattr(connection, "FIRST_S", 60)


@pytest.fixture(autouse=True)
def agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's SSH agent, whose keys would be offered first."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def ssh(tmp_path: Path, keys: Path) -> Client:
    """The SSH client of a lab, with the key that machines accept."""
    return client(tmp_path / "a lab" / "ssh", keys / "own", ())


@pytest.fixture
def seats(tmp_path: Path, keys: Path) -> Iterator[Callable[..., Seat]]:
    """Return a function that starts a machine, with options of `tests.sshd.seat`."""
    with ExitStack() as stack:
        folders = iter(range(100))

        def make(host_key: str = "host", **told: object) -> Seat:
            folder = tmp_path / f"seat-{next(folders)}"
            return stack.enter_context(seat(folder, keys / "own", keys / host_key, **told))  # type: ignore[arg-type]

        yield make


@pytest.fixture
def connect(ssh: Client) -> Iterator[Callable[..., Connection]]:
    """Return a function that makes a connection, which is closed after the test."""
    made: list[Connection] = []

    def make(machine: Machine, through: Client = ssh) -> Connection:
        made.append(Connection(through, machine))
        return made[-1]

    yield make
    for each in made:
        each.close()
