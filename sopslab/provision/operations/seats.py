"""Operations on the seats of a class. Each operation works on all seats. If a seat fails, this is
recorded in a file for the seat, and the others go on; `report` names failed seats at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.enrolled import record_of
from sopslab.config.enrolment import Enrolment
from sopslab.config.environment import at_seat
from sopslab.config.settings import Settings
from sopslab.lab.act import enrolling
from sopslab.lab.act.failures import record
from sopslab.lab.act.pruning import prune
from sopslab.lab.observe.failures import seat_failures
from sopslab.provision import known
from sopslab.provision.command import Commands, acting, refusal
from sopslab.provision.look import look


@operation()
def roster(settings: Settings, enrolment: Enrolment) -> Commands:
    """
    Record the learners who have a seat.

    + settings: the lab's settings
    + enrolment: which seats there are, which stay, and which are pruned
    """
    recorded = known.enrolled(settings)
    if recorded != enrolment.recorded:
        # The enrolment was read before this run had the lock, so it would undo later changes.
        yield refusal(
            "the class has changed since this run began (by `sopslab assign`, or by another run):"
            " run it again"
        )
        return
    # A seat stays on record until it is pruned, because this run may be killed before that.
    leaving = tuple(seat for seat in recorded if seat.id in enrolment.archived)
    wanted = (*enrolment.seats, *leaving)
    if recorded == wanted:
        host.noop(f"{len(enrolment.seats)} seats are on record")
        return
    yield acting(settings, enrolling.record, roster=record_of(wanted))


def failing(settings: Settings, reasons: Mapping[str, str]) -> Commands:
    """Yield the command that records failed seats; yield nothing if none failed.

    + reasons: for each failed seat, a sentence
    """
    if reasons:
        yield acting(settings, record, reasons=dict(reasons))


@operation()
def report(settings: Settings, seats: Sequence[str]) -> Commands:
    """
    End the run with a list of the seats that failed, if any did. All others are ready.

    + settings: the lab's settings
    + seats: the ids of all seats
    """
    failed = look(settings, seat_failures)
    if not failed:
        host.noop(f"{len(seats)} seats are ready")
        return
    listing = "\n".join(f"  {seat}: {reason}" for seat, reason in sorted(failed.items()))
    yield refusal(f"{len(failed)} of {len(seats)} seats are not ready:\n{listing}")


@operation()
def pruning(settings: Settings, enrolment: Enrolment, patience: int = 90) -> Commands:
    """
    Remove pruned seats from the cluster and the Git server. Their keys, Git data and access are
    archived in `class/pruned`.

    + settings: the lab's settings
    + enrolment: which seats there are, and which are pruned
    + patience: how many seconds Flux has to remove the seats
    """
    recorded = known.enrolled(settings)
    leaving = [at_seat(seat) for seat in recorded if seat.id in enrolment.archived]
    if not leaving:
        host.noop("no seat is pruned")
        return
    yield acting(
        settings,
        prune,
        environments=leaving,
        roster=record_of(enrolment.seats),
        patience=patience,
    )
