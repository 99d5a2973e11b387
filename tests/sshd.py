"""A real sshd on loopback, one process for each connection, whose machine has only what a test
gives it."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sopslab.model.machines import Machine
from tests.texts import write_program

SSHD = "/usr/sbin/sshd"
# The folder that sshd changes its root to before a login, if root runs it.
_SEPARATION = Path("/run/sshd")
PYTHON = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")


def make_key(path: Path) -> Path:
    """Make a key pair of OpenSSH; return the path of the private key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True
    )
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


@dataclass
class Seat:
    """A machine that can be logged in to with `key`.

    The PATH there has only the folder `programs` and those of `path`. The next `turned_away`
    connections are closed before the first word; `logins` is the number of those that were served.
    """

    folder: Path
    key: Path
    host_key: Path
    prefix: Sequence[str] = ()
    path: str = ""
    turned_away: int = 0
    connections: list[socket.socket] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    machine: Machine = field(init=False)

    def __post_init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        user = pwd.getpwuid(os.getuid()).pw_name
        self.machine = Machine("127.0.0.1", self._server.getsockname()[1], user)

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    @property
    def logins(self) -> int:
        return len(self.processes)

    def configure(self, options: Mapping[str, str]) -> None:
        """Write sshd's configuration, which applies from the next connection on."""
        told = {
            **options,
            "HostKey": self.host_key,
            "AuthorizedKeysFile": f"{self.key}.pub",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
            "PermitUserRC": "no",
            "PrintMotd": "no",
            "PidFile": "none",
            "SetEnv": f"PATH={':'.join(filter(None, (str(self.programs), self.path)))}"
            f" HOME={self.folder}",
        }
        lines = [f"{name} {value}\n" for name, value in told.items()]
        (self.folder / "sshd_config").write_text("".join(lines))

    def stand_in(self, name: str, text: str) -> None:
        """Put a program on the machine's PATH that is a line of sh."""
        program = self.programs / name
        # If the program is a link, its target stays as it is.
        program.unlink(missing_ok=True)
        write_program(program, f"#!/bin/sh\n{text}\n")

    def cut(self) -> None:
        """Cut every connection."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self) -> None:
        """Answer until the socket is closed."""
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            if self.turned_away > 0:
                self.turned_away -= 1
                connection.close()
                continue
            self.connections.append(connection)
            self.processes.append(
                subprocess.Popen(
                    [*self.prefix, SSHD, "-i", "-f", str(self.folder / "sshd_config")],
                    stdin=connection.fileno(), stdout=connection.fileno(),
                    stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for connection in self.connections:
            connection.close()
        for process in self.processes:
            process.wait(10)


@contextmanager
def seat(
    folder: Path,
    key: Path,
    host_key: Path,
    options: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    path: str = "",
) -> Iterator[Seat]:
    """Yield a machine that has Python, git and Docker.

    + options: options of sshd_config
    + prefix: the command that starts sshd
    + path: the PATH of this machine, if the machine is to have the programs of this one
    """
    if os.getuid() == 0:
        _SEPARATION.mkdir(mode=0o755, exist_ok=True)
    made = Seat(folder, key, host_key, prefix, path)
    made.programs.mkdir(parents=True)
    (made.programs / "python3").symlink_to(PYTHON)
    for name in () if path else ("git", "docker", "sudo"):
        made.stand_in(name, "exit 0")
    made.configure(options or {})
    thread = threading.Thread(target=made.serve)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(10)
