"""The users with an account on the embedded Git server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accounts:
    """The users with an account, according to files on this machine.

    `complete` have a stored password and a line in the server's htpasswd. `moved` have a stored
    login for another address than the server has now, so that git would not use it. `listed` are
    all users whose password the server knows, whether it is stored here or not. `locked` are those
    of them whom the server refuses for the time being.
    """

    complete: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
