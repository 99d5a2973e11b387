"""Delivery: a machine is given what it lacks of the product and of the store, and no more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab.bundles.writing import Contents, Progress
from sopslab.model.machines import SeatState
from sopslab.model.members import Member
from sopslab.room.connection import Connection

# How many bytes of a delivery are done, and of how many.
Tell = Callable[[int, int], None]


class Unfit(LabError):
    """A machine that cannot have a lab, with all that it lacks: a sentence each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems), Exit.HOST)


@dataclass(frozen=True)
class Cargo:
    """What machines are given: the product and the entries of a store, packed in `lab`."""

    lab: Lab
    contents: Contents
    product: Member
    entries: tuple[Member, ...]


@dataclass(frozen=True)
class Delivered:
    """What a machine was given: whether the product, how many entries, and how many bytes.
    `root` is where, without `~`."""

    root: str
    product: bool
    entries: int
    bytes: int

    @property
    def nothing(self) -> bool:
        """Whether it had all of it."""
        return not self.product and not self.entries


def prepare(lab: Lab, contents: Contents, progress: Progress) -> Cargo:
    """Return what is delivered, packed unless it was before.

    Raises LabError where an entry is not in the store, or a Python package cannot be had.
    """
    raise NotImplementedError


def look(connection: Connection, root: str, product: str = "") -> SeatState:
    """Return what a machine is. Raises Unreachable, and Unfit where it has no Python.

    + root: where it has or gets what is ours; absolute, or from `~/` on
    + product: the sum of the product with which its store is looked at, if it has that one
    """
    raise NotImplementedError


def problems(found: SeatState, cargo: Cargo) -> list[str]:
    """Return why a machine cannot be given something, a sentence each."""
    raise NotImplementedError


def deliver(
    connection: Connection,
    cargo: Cargo,
    root: str,
    tell: Tell,
    turn: AbstractContextManager[object],
) -> Delivered:
    """Have a machine hold all of the cargo; what it has already does not travel.

    Raises Unreachable, Unfit, or LabError where the machine refuses it: another run is at work
    there, its disk is full. What arrived by then stays, and the next delivery goes on behind it.

    + root: as for `look`
    + turn: held while something travels, such as a semaphore that bounds how many at a time
    """
    raise NotImplementedError
