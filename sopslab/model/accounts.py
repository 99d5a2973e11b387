"""Who has an account of the embedded Git server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accounts:
    """Who has one, as files of this machine tell.

    `complete` are those with a password and a line in the server's htpasswd; `moved` are those
    whose stored login is for another address than the server has now: git would not use it.
    `listed` are all whose password the server knows, whether it is known here or not, and `locked`
    those of them whom it refuses for the time being.
    """

    complete: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
