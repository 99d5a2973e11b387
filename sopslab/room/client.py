"""OpenSSH's client with a configuration and known hosts of the lab's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sopslab.model.machines import Machine

# What the user has set for themselves counts where we set nothing: names, jump hosts, keys.
USERS = ("~/.ssh/config", "/etc/ssh/ssh_config")


@dataclass(frozen=True)
class Client:
    """How one lab uses OpenSSH.

    `folder` holds its configuration and known hosts, `sockets` the connections that are open;
    `identity` is the only key that is offered, if there is one.
    """

    folder: Path
    sockets: Path
    identity: Path | None = None

    def command(self, machine: Machine, *words: str) -> list[str]:
        """Return the command that starts a program on a machine; its words are for the shell
        there."""
        raise NotImplementedError


def client(folder: Path, identity: Path | None = None, users: Sequence[str] = USERS) -> Client:
    """Return the client of a lab, whose files are written below a folder.

    Raises LabError where a folder for sockets cannot be had that is this account's alone.

    + folder: private, such as `<lab_dir>/ssh`
    + users: configurations of OpenSSH that count where ours says nothing
    """
    raise NotImplementedError
