"""Operations on a room: each works at all seats at once.

pyinfra runs an operation at all hosts in greenlets, and begins the next operation only once the
last host is done. So everything at a seat is one operation, and no seat waits for another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from threading import Lock

from pyinfra import logger
from pyinfra.api import FunctionCommand, Host, State, operation
from pyinfra.api.command import PyinfraCommand

from sopslab.config.settings import Settings
from sopslab.errors import Exit, LabError
from sopslab.files.events import refuse, write
from sopslab.model.events import SeatEnded, SeatWorks
from sopslab.policy.printing import printable
from sopslab.room import seat
from sopslab.room.connector import SeatConnector
from sopslab.room.seat import Outcome, Tell
from sopslab.room.stock import Stock, lab_file, stock

# The stock for all seats of this run, or the reason why there is none. It is kept until the process
# ends.
_ready: list[Stock | LabError] = []
_stays = ExitStack()
_packing = Lock()

AtSeat = Callable[[SeatConnector, Settings, Sequence[str], Tell], Outcome | None]


@operation(is_idempotent=False)
def lab(settings: Settings, words: Sequence[str]) -> Generator[PyinfraCommand, None, None]:
    """
    Send the seat's machine what it lacks for the lab, and make the lab there. The run on that
    machine changes only what differs, and reports the number of its changes.

    + settings: the seat's settings
    + words: the verb that makes the lab there, and its arguments
    """
    yield FunctionCommand(_at_seat, (settings, words, _give), {})


@operation(is_idempotent=False)
def verb(settings: Settings, words: Sequence[str]) -> Generator[PyinfraCommand, None, None]:
    """
    Run a verb of `sopslab` on the seat's own machine.

    + settings: the seat's settings
    + words: the verb, and its arguments
    """
    yield FunctionCommand(_at_seat, (settings, words, _run), {})


def _at_seat(
    state: State, host: Host, settings: Settings, words: Sequence[str], work: AtSeat
) -> bool:
    """Do `work` at a seat, report how it went, and return whether it succeeded.

    pyinfra passes `state` and `host` by name, and takes False for a failure.
    """
    name = settings.learner.id
    said = ""

    def tell(doing: str) -> None:
        nonlocal said
        if doing != said:
            said = doing
            write(SeatWorks(name, doing))

    if not isinstance(host.connector, SeatConnector):
        raise TypeError(f"{host} is no seat")
    began = time.monotonic()
    try:
        outcome = work(host.connector, settings, words, tell)
    except LabError as error:
        outcome = seat.refused(error)
    except OSError as error:
        outcome = seat.refused(seat.lacking(error))
    if outcome is None:
        return False
    seconds = round(time.monotonic() - began, 3)
    write(SeatEnded(name, outcome.code, outcome.changed, seconds, outcome.problems, outcome.answer))
    for problem in outcome.problems:
        logger.error("%s%s", host.print_prefix, printable(problem))
    return outcome.code == Exit.OK


def _give(
    connector: SeatConnector, settings: Settings, words: Sequence[str], tell: Tell
) -> Outcome | None:
    """Send a seat its lab and return how that went; None if there is no stock to send."""
    with _packing:
        if not _ready:
            tell("packing")
            _ready.append(_stock(settings, tell))
    ready = _ready[0]
    if isinstance(ready, LabError):
        return None
    told = lab_file(settings, ready.recipient)
    return seat.give_lab(connector.connection, ready.cargo, told, words, tell, ready.turn)


def _stock(settings: Settings, tell: Tell) -> Stock | LabError:
    try:
        return _stays.enter_context(stock(settings, tell))
    except LabError as error:
        # Reported once, because the reason is the same for all seats.
        refuse(error)
        return error


def _run(
    connector: SeatConnector, settings: Settings, words: Sequence[str], tell: Tell
) -> Outcome | None:
    return seat.run_verb(connector.connection, words, tell)
