"""Connections to machines: a dead machine is noticed at once, and the user's files are not
touched."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.errors import LabError
from sopslab.layout import PROJECT
from sopslab.model.machines import Machine
from sopslab.room import connection as module
from sopslab.room.client import Client, client
from sopslab.room.connection import FIRST_S, Connection, Late, Process, Unreachable
from tests.sshd import Seat, public, seat

Seats = Callable[..., Seat]
Connect = Callable[..., Connection]


def refused(connection: Connection) -> str:
    """Return why a machine cannot be reached."""
    with pytest.raises(Unreachable) as reason:
        connection.run(["true"])
    said = str(reason.value)
    assert len(said.splitlines()) == 1 and said.startswith(f"{connection.machine}: ")
    return said


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory, keys: Path
) -> Iterator[tuple[Seat, Connection]]:
    """A machine, and a connection to it that tests share."""
    folder = tmp_path_factory.mktemp("there")
    with seat(folder / "seat", keys / "own", keys / "host") as made:
        connection = Connection(client(folder / "ssh", keys / "own", ()), made.machine)
        yield made, connection
        connection.close()


def test_one_login_serves_all_that_is_run(there: tuple[Seat, Connection]) -> None:
    made, connection = there
    for number in range(3):
        ended = connection.run(["python3", "-c", f"print({number!r}); import sys; sys.exit(3)"])
        assert (ended.code, ended.out) == (3, b"%d\n" % number)
    assert made.logins == 1


def test_words_reach_a_program_as_they_are(there: tuple[Seat, Connection]) -> None:
    words = ["a b", "", "$HOME", "it's", '"', "`id`", "*", "\n", "é", "-n", "\\"]
    shown = "import json, sys; print(json.dumps(sys.argv[1:]))"
    assert json.loads(there[1].run(["python3", "-c", shown, *words]).out) == words


def test_input_and_output_are_larger_than_pipes(there: tuple[Seat, Connection]) -> None:
    """The program writes while it is still reading."""
    data = os.urandom(1 << 20) * 12
    copy = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"
    assert there[1].run(["python3", "-c", copy], data).out == data


def test_lines_come_while_a_program_goes_on(there: tuple[Seat, Connection]) -> None:
    echo = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    with there[1].start(["python3", "-c", echo]) as session:
        for line in ("one", "two"):
            session.write(f"{line}\n".encode(), 60)
            assert session.line(60) == line.upper()
        assert session.end(60).code == 0
        assert session.line(60) is None


def test_a_program_that_reads_nothing_more_breaks_the_pipe(
    there: tuple[Seat, Connection],
) -> None:
    with there[1].start(["python3", "-c", "import sys; sys.exit(4)"]) as session:
        with pytest.raises(BrokenPipeError):
            for _ in range(1000):
                session.write(bytes(1 << 16), 60)
        assert session.end(60).code == 4


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the clock of the first answer run out after a second. A test fails if it takes eight
    seconds: OpenSSH's own clock would be the one that ran out."""
    monkeypatch.setattr(module, "FIRST_S", 1)
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 8


def test_nothing_that_listens_is_known_at_once(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "nothing listens there for SSH; start sshd" in refused(
        connect(Machine("127.0.0.1", port))
    )


def test_a_name_that_is_not_known_is_said(connect: Connect) -> None:
    assert "its name is not known" in refused(connect(Machine("seat-1.invalid")))


@pytest.mark.usefixtures("impatient")
def test_a_host_that_takes_connections_and_says_nothing_is_dead(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        machine = Machine("127.0.0.1", server.getsockname()[1])
        assert "then does not answer" in refused(connect(machine))
        # No process of the client goes on.
        asked, _ = server.accept()
        with asked:
            asked.settimeout(5)
            while asked.recv(1000):
                pass


@pytest.mark.usefixtures("impatient")
def test_one_that_hangs_behind_the_login_is_dead(seats: Seats, connect: Connect) -> None:
    made = seats(options={"ForceCommand": "exec sleep 60"})
    (made.programs / "sleep").symlink_to("/bin/sleep")
    assert "then does not answer" in refused(connect(made.machine))
    assert made.processes[0].wait(10) is not None


def test_our_clock_is_shorter_than_openssh_s_own(ssh: Client) -> None:
    said = subprocess.run(
        ["ssh", "-F", ssh.folder / "config", "-G", "seat"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert "connecttimeout 8" in said and "serveraliveinterval 15" in said
    assert FIRST_S == 10


def test_a_login_that_is_refused_is_no_matter_of_time(
    seats: Seats, connect: Connect, ssh: Client, keys: Path
) -> None:
    made = seats()
    stranger = client(ssh.folder.parent / "other", keys / "other", ())
    assert "it refuses the login; add this account's public key" in refused(
        connect(made.machine, stranger),
    )
    assert made.logins == 1


def test_the_first_key_that_a_machine_shows_is_the_one_that_counts(
    seats: Seats, connect: Connect, ssh: Client, keys: Path
) -> None:
    made = seats()
    connection = connect(made.machine)
    connection.run(["true"])
    connection.close()
    known = ssh.known_hosts.read_text()
    assert public(keys / "host") in known and ssh.known_hosts.stat().st_mode & 0o777 == 0o600
    made.host_key = keys / "other-host"
    made.configure({})
    said = refused(connect(made.machine))
    assert "it shows another host key than the first time; where it was made anew" in said
    assert ssh.known_hosts.read_text() == known
    # The refusal names the command that helps.
    command = said.partition("made anew: ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert connect(made.machine).run(["true"]).code == 0


def test_the_roster_s_key_is_the_only_one(
    seats: Seats, connect: Connect, ssh: Client, keys: Path
) -> None:
    made = seats()
    known = replace(made.machine, hostkey=f"{public(keys / 'host')} a comment")
    assert connect(known).run(["true"]).code == 0
    wrong = replace(made.machine, hostkey=public(keys / "other-host"))
    assert "it shows another host key than the roster's; correct" in refused(connect(wrong))
    assert ssh.known_hosts.read_text() == ""


def test_a_name_server_does_not_vouch_for_another_key(tmp_path: Path, keys: Path) -> None:
    theirs = tmp_path / "ssh_config"
    theirs.write_text("VerifyHostKeyDNS yes\n")
    own = client(tmp_path / "ssh", None, (str(theirs),))
    pinned = Machine("ada", hostkey=public(keys / "host"))
    for machine, counts in ((pinned, "false"), (Machine("ada"), "true")):
        said = subprocess.run(
            [*own.command(machine, "true")[:-3], "-G", "ada"],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        assert f"verifyhostkeydns {counts}" in said


def test_one_that_has_too_many_at_a_time_is_asked_again(seats: Seats, connect: Connect) -> None:
    made = seats()
    made.turned_away = 2
    assert connect(made.machine).run(["true"]).code == 0
    assert made.turned_away == 0 and made.logins == 1


@pytest.mark.usefixtures("impatient")
def test_but_not_for_ever(seats: Seats, connect: Connect) -> None:
    made = seats()
    made.turned_away = 1000
    assert "raise MaxStartups" in refused(connect(made.machine))


def test_a_connection_that_is_cut_is_said(seats: Seats, connect: Connect) -> None:
    made = seats()
    with connect(made.machine).start(["python3", "-uc", "print(); input()"]) as session:
        session.line(60)
        made.cut()
        with pytest.raises(Unreachable, match="the connection ended; run the same again"):
            session.line(60)
            session.end(60)


LIES = (
    "REMOTE HOST IDENTIFICATION HAS CHANGED", "Permission denied (publickey).",
    "ssh: connect to host seat port 22: Connection refused",
)  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_a_program_does_not_pass_for_openssh(seats: Seats, connect: Connect, lie: str) -> None:
    connection = connect(seats().machine)
    program = f"import sys; sys.stderr.write({lie!r}); sys.exit(255)"
    with pytest.raises(Unreachable) as reason:
        connection.run(["python3", "-c", program])
    assert "the connection ended" in str(reason.value)


def test_nor_does_a_shell_at_the_first_contact(seats: Seats, connect: Connect) -> None:
    made = seats(options={"ForceCommand": f"echo {LIES[0]} >&2; exit 255"})
    said = refused(connect(made.machine))
    assert "host key" not in said and "ssh-keygen" not in said


def test_a_program_that_never_ends_is_ended(seats: Seats, connect: Connect) -> None:
    connection = connect(seats().machine)
    with pytest.raises(Unreachable, match="then does not answer"):
        connection.run(["python3", "-c", "import time; time.sleep(600)"], patience=0.2)
    assert connection.run(["true"]).code == 0


def test_a_machine_that_sends_without_end_is_not_called_silent(
    seats: Seats, connect: Connect
) -> None:
    connection = connect(seats().machine)
    with pytest.raises(Unreachable, match="it sends more than"):
        connection.run(["python3", "-c", "while True: print('x' * 4096)"])


def test_standard_error_does_not_stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read a byte at a time here, so that there is always more of it."""
    monkeypatch.setattr(module, "_PIECE", 1)
    process = Process(["sh", "-c", "head -c 500000 /dev/zero >&2; echo line"])
    try:
        with pytest.raises(Late):
            process.line(0.1)
    finally:
        process.kill()


def test_an_account_without_a_shell_is_said(seats: Seats, connect: Connect) -> None:
    made = seats(options={"ForceCommand": "exit 1"})
    assert "its shell runs no programs" in refused(connect(made.machine))


def home_of_the_user() -> dict[str, int]:
    """Return OpenSSH's files in the home that the user has on record, whatever HOME is, with their
    times."""
    folder = Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh")
    return {
        str(path): path.stat().st_mtime_ns for path in (folder, *folder.rglob("*")) if path.exists()
    }


def test_nothing_of_the_user_s_is_written(seats: Seats, connect: Connect) -> None:
    before = home_of_the_user()
    connect(seats().machine).run(["true"])
    assert home_of_the_user() == before


def test_what_the_user_has_set_counts_where_we_say_nothing(
    seats: Seats, connect: Connect, tmp_path: Path, keys: Path
) -> None:
    """Names, ports, users and jump hosts count. Settings that would open a way back to this machine
    do not."""
    made, jump = seats(), seats(host_key="other-host")
    theirs = tmp_path / "ssh_config"
    theirs.write_text(
        f"Host ada\n  HostName 127.0.0.1\n  Port {made.machine.port}\n  ProxyJump jump\n"
        f"Host jump\n  HostName 127.0.0.1\n  Port {jump.machine.port}\n"
        f"  IdentityFile {keys / 'own'}\n"
        "Host *\n  ForwardAgent yes\n  RemoteCommand date\n  StrictHostKeyChecking no\n"
        "  LocalForward 127.0.0.1:1 127.0.0.1:1\n  ControlPath ~/.ssh/%C\n  RequestTTY force\n"
        "  LogLevel DEBUG3\n  HashKnownHosts yes\n"
    )
    own = client(tmp_path / "own" / "ssh", keys / "own", (str(theirs),))
    connection = connect(Machine("ada"), own)
    assert connection.run(["python3", "-c", "print(1)"]).out == b"1\n"
    assert (made.logins, jump.logins) == (1, 1)
    known = own.known_hosts.read_text()
    assert "ada ssh-ed25519" in known and f"[127.0.0.1]:{jump.machine.port} ssh-ed25519" in known
    said = subprocess.run(
        [*own.command(Machine("ada"), "true")[:-3], "-G", "ada"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert {"forwardagent no", "clearallforwardings yes", "stricthostkeychecking accept-new"} <= {
        *said
    }


def test_a_folder_of_sockets_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Path("/tmp", f"sops-lab-test-{os.getpid()}")
    runtime.mkdir()
    try:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
        made = client(tmp_path / "ssh")
        assert made.sockets.parent == runtime and made.sockets.stat().st_mode & 0o777 == 0o700
        made.sockets.chmod(0o770)
        with pytest.raises(LabError, match="is not a folder of this account's alone"):
            client(tmp_path / "ssh")
        made.sockets.rmdir()
        made.sockets.symlink_to(tmp_path)
        with pytest.raises(LabError, match="is not a folder of this account's alone"):
            client(tmp_path / "ssh")
        made.sockets.unlink()
    finally:
        runtime.rmdir()


def test_names_of_sockets_fit(ssh: Client) -> None:
    """OpenSSH first makes a socket under another name, which is 17 bytes longer."""
    command = ssh.command(Machine("h" * 250, 65535, "u" * 30, "k" * 500), "true")
    (path,) = [word.partition("=")[2] for word in command if word.startswith("ControlPath=")]
    assert len(path.strip('"')) + 17 < 104


def test_in_greenlets_one_does_not_hold_up_another(
    seats: Seats, ssh: Client, keys: Path, tmp_path: Path
) -> None:
    ports = [str(seats().machine.port) for _ in range(2)]
    program = Path(__file__).with_name("greenlets.py")
    done = subprocess.run(
        [sys.executable, program, ssh.folder, ssh.sockets, keys / "own", tmp_path, *ports],
        capture_output=True, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)},
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
