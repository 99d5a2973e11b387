"""Machines that are reached over SSH, and what one says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from sopslab.model.bundles import LoadedBundle
from sopslab.model.members import Member


@dataclass(frozen=True)
class Machine:
    """Where a machine is reached.

    `host` may be a name of the user's ssh_config, from which a port or a user that is not given
    comes. `hostkey` is what the machine has to show, a type and a key such as
    `ssh-ed25519 AAAA…`; without one the first that it shows counts.
    """

    host: str
    port: int | None = None
    user: str | None = None
    hostkey: str | None = None

    @override
    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.known_as}"

    @property
    def known_as(self) -> str:
        """The name in a file of known hosts, as OpenSSH writes it."""
        return self.host if self.port in (None, 22) else f"[{self.host}]:{self.port}"


@dataclass(frozen=True)
class HeldStore:
    """What a store has: the digest of each entry by its folder, and the sum of what is on record to
    have been given to it, "" without a record."""

    entries: dict[str, str]
    record: str


@dataclass(frozen=True)
class SeatState:
    """What a machine is, and what it has of ours.

    `root` is the folder that was asked about, without `~`; `python` is the version of its python3;
    `product` is the folder of the product that works there, "" without one; `sudo` is "ok",
    "password" or "missing"; `space` is what is free, in bytes. `store` is None where another
    product works there than the one that was asked about. `clock` is what its clock showed when it
    answered, in seconds since 1970.
    """

    root: str
    python: tuple[int, ...]
    arch: str
    product: str
    git: bool
    docker: bool
    sudo: str
    space: int
    store: HeldStore | None
    clock: float


@dataclass(frozen=True)
class Consignment:
    """What a store is given next: members, in the order in which their bytes come, and what
    is on record afterwards."""

    members: tuple[Member, ...]
    record: LoadedBundle
