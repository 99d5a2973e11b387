"""OpenSSH's client, with a configuration and known hosts that belong to the lab.

The user's own files are never written. Their settings, such as names, jump hosts and keys, apply
where the lab's configuration sets nothing.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopslab.errors import Exit, LabError
from sopslab.lab.tools import files
from sopslab.model.machines import Machine

USERS = ("~/.ssh/config", "/etc/ssh/ssh_config")
# How long an idle connection stays open.
PERSIST_S = 30

_CONFIGURATION, _KNOWN, _PINNED = "config", "known_hosts", "hostkeys"
# They come first in the configuration, and OpenSSH takes the first value that it finds for an
# option. They apply to jump hosts, too.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "8",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "3",
    "StrictHostKeyChecking": "accept-new",
    "UpdateHostKeys": "no",
    "HashKnownHosts": "no",
    "CheckHostIP": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "GSSAPIDelegateCredentials": "no",
    "ClearAllForwardings": "yes",
    "AddKeysToAgent": "no",
    "Compression": "no",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "ControlPath": "none",
    "LogLevel": "ERROR",
}


@dataclass(frozen=True)
class Client:
    """How one lab uses OpenSSH.

    `folder` has its configuration and known hosts, `sockets` the sockets of open connections. If
    `identity` is set, OpenSSH offers a machine this key and the keys of the user's configuration,
    but no other key of an agent.
    """

    folder: Path
    sockets: Path
    identity: Path | None = None

    @property
    def known_hosts(self) -> Path:
        """The file with the host keys that machines have shown."""
        return self.folder / _KNOWN

    def command(self, machine: Machine, *words: str, log: Path | None = None) -> list[str]:
        """Return the command that starts a program on a machine.

        + log: the file for OpenSSH's own messages; without it, they go to standard error, mixed
            with those of the machine
        """
        apart = () if log is None else ("-E", str(log))
        return [*self._reaching(machine), *apart, "--", machine.host, shlex.join(words)]

    @contextmanager
    def log(self) -> Iterator[Path]:
        """Yield a new file for OpenSSH's own messages, which is removed after the block."""
        with tempfile.NamedTemporaryFile(dir=self.sockets, prefix="said-") as file:
            yield Path(file.name)

    def order(self, machine: Machine, order: str) -> list[str]:
        """Return the command that gives an order, such as `exit`, to the process that keeps a
        connection open."""
        return [*self._reaching(machine), "-O", order, "--", machine.host]

    def pin(self, machine: Machine) -> None:
        """Write down which host key a machine has to show, if the roster names one."""
        if machine.hostkey is not None:
            text = f"{machine.known_as} {' '.join(machine.hostkey.split()[:2])}\n"
            if files.read(self._pinned(machine)) != text.encode():
                files.write(self._pinned(machine), text)

    def _reaching(self, machine: Machine) -> list[str]:
        options = {
            "HostKeyAlias": machine.known_as,
            "ControlMaster": "auto",
            "ControlPersist": str(PERSIST_S),
            "ControlPath": _path(self.sockets / self._id(machine)),
        }
        if machine.hostkey is not None:
            options |= {
                "StrictHostKeyChecking": "yes",
                "UserKnownHostsFile": _path(self._pinned(machine)),
                "GlobalKnownHostsFile": "/dev/null",
                "VerifyHostKeyDNS": "no",
            }
        if self.identity is not None:
            options |= {"IdentityFile": _path(self.identity), "IdentitiesOnly": "yes"}
        return [
            *("ssh", "-F", str(self.folder / _CONFIGURATION), "-T"),
            *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
            *(() if machine.port is None else ("-p", str(machine.port))),
            *(() if machine.user is None else ("-l", machine.user)),
        ]

    def _pinned(self, machine: Machine) -> Path:
        return self.folder / _PINNED / self._id(machine)

    def _id(self, machine: Machine) -> str:
        """Return the name of a connection. It differs if anything differs that decides where the
        connection leads, or why the machine is trusted."""
        told = repr((str(self.folder), str(self.identity), machine))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def client(folder: Path, identity: Path | None = None, users: Sequence[str] = USERS) -> Client:
    """Write the files of a lab's client below a folder, and return the client.

    Raises LabError if there is no folder for sockets that only this account can use, and OSError if
    the files cannot be written.

    + folder: private, such as `<lab_dir>/ssh`
    + users: configurations of OpenSSH that apply where the lab's own sets nothing
    """
    made = Client(folder.absolute(), _sockets(), identity and identity.absolute())
    options = {**_OPTIONS, "UserKnownHostsFile": _path(made.known_hosts)}
    lines = [f"{name} {value}\n" for name, value in options.items()]
    text = "".join([*lines, *(f"Include {_quoted(path)}\n" for path in users)])
    files.private_folder(made.folder)
    files.write(made.folder / _CONFIGURATION, text)
    # OpenSSH itself would create the file readable for everybody.
    made.known_hosts.touch(mode=0o600)
    return made


def _sockets() -> Path:
    """Return the folder for sockets, made if it was missing. Its path is short, because that of a
    socket may have at most 104 bytes."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = runtime if 0 < len(runtime) < 40 and os.access(runtime, os.W_OK) else "/tmp"
    folder = Path(base, f"sops-lab-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise LabError(f"{folder} cannot be made: {error.strerror}", Exit.HOST) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise LabError(
            f"{folder} is not a folder of this account's alone, so others could take over what goes"
            " to machines: remove it",
            Exit.HOST,
        )
    return folder


def _path(path: Path) -> str:
    """Return a path for an option of OpenSSH, in which `%` is escaped."""
    return _quoted(str(path).replace("%", "%%"))


def _quoted(text: str) -> str:
    return f'"{text}"'
