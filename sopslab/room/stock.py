"""What the controller has ready for all seats of a room."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from threading import BoundedSemaphore

import yaml

from sopslab.artifacts.catalog import load_catalog
from sopslab.artifacts.wheels import PYTHONS
from sopslab.config.seats import sent
from sopslab.config.settings import Settings
from sopslab.lab.bundles.product import given_pythons
from sopslab.lab.bundles.stored import stored
from sopslab.lab.observe.store import this_arch
from sopslab.room.delivery import Cargo, prepare
from sopslab.room.instructor import recipient
from sopslab.room.seat import Tell

_HEADING = """\
# The lab on this machine, as the room's last `sopslab up` wrote it: a change is lost with the next.
"""


@dataclass(frozen=True)
class Stock:
    """What all seats get: the cargo, and the instructor's public key. `turn` limits the number of
    seats that are sent bytes at the same time."""

    cargo: Cargo
    recipient: str
    turn: AbstractContextManager[object]


@contextmanager
def stock(settings: Settings, tell: Tell) -> Iterator[Stock]:
    """Prepare the stock of a room, and yield it. The stock stays until the end of the block.

    Raises LabError if the store is not full, a Python package is not available, or the instructor's
    identity cannot be used.

    + settings: those of any seat of the room
    """

    def progress(what: str, done: int, total: int) -> None:
        tell(f"packing: {what}, {done * 10 // max(total, 1) * 10} %")

    lab = settings.for_machine
    pythons = given_pythons(lab, this_arch()) or PYTHONS
    contents = stored(lab, load_catalog(settings.catalog), pythons)
    with prepare(lab, contents, progress) as cargo:
        yield Stock(
            cargo=cargo,
            recipient=settings.instructor_recipient
            or recipient(settings.room, settings.age_key_type),
            turn=BoundedSemaphore(settings.seats_at_once),
        )


def lab_file(settings: Settings, recipient: str) -> bytes:
    """Return the lab file of a seat: what its own machine has to know, and nothing else."""
    told = {**sent(settings), "instructor_recipient": recipient}
    text: str = yaml.safe_dump(told, allow_unicode=True, sort_keys=False)
    return f"{_HEADING}{text}".encode()
