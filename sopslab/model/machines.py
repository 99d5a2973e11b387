"""Machines that are reached over SSH, and what such a machine reports about itself."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from sopslab.model.bundles import LoadedBundle
from sopslab.model.members import Member


@dataclass(frozen=True)
class Machine:
    """Where a machine is reached.

    `host` may be a name in the user's ssh_config, which then supplies a port and a user that are
    not given here. `hostkey` is the host key that the machine has to present, a type and a key such
    as `ssh-ed25519 AAAA…`; without it, the first key that the machine presents is accepted.
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
        """The machine's name in a known_hosts file, as OpenSSH writes it."""
        return self.host if self.port in (None, 22) else f"[{self.host}]:{self.port}"


@dataclass(frozen=True)
class HeldStore:
    """What a store has: the digest of each entry by its folder. `record` is the sum of the record
    of what was delivered to it last, "" without such a record."""

    entries: dict[str, str]
    record: str


@dataclass(frozen=True)
class SeatState:
    """The state of a seat's machine, and what the lab has installed there.

    `root` is the folder that was asked about, with `~` expanded. `python` is the version of
    python3. `product` is the folder of the installed product, "" without one. `sudo` is "ok",
    "password" or "missing". `space` is the free space in bytes. `store` is None if another product
    is installed than the one that was asked about. `clock` is the machine's time when it answered,
    in seconds since 1970.
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
    """What is delivered to a store: members, in the order in which their bytes are sent, and the
    record to keep afterwards."""

    members: tuple[Member, ...]
    record: LoadedBundle
