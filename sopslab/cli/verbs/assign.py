"""`sopslab assign`: give a spare seat to a learner who comes late."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import json_option, lab_or_exit, problems_or_exit
from sopslab.config.enrolled import read_enrolled, record_of
from sopslab.config.enrolment import assign as assigned
from sopslab.errors import InputError, LabError
from sopslab.run import lock

if TYPE_CHECKING:
    from sopslab.config.settings import Enrolled, Seat, Settings

_PATIENCE_S = 20
"""For another run to end: two assignments at once are made one after the other."""


@click.command()
@click.argument(
    "spare", metavar="SPARE", help="The seat, such as spare-1.", shell_complete=completing.spares
)
@click.argument("learner", metavar="ID", help="The learner's id, as a roster would have it.")
@click.option("--name", required=True, help="The learner's name.")
@click.option("--email", help="The learner's address.")
@click.option("--group", help="The learner's group.")
@json_option
def assign(
    spare: str, learner: str, name: str, email: str | None, group: str | None, as_json: bool
) -> None:
    """Give the seat SPARE to the learner ID, who came late: a matter of seconds.

    `sopslab up inventories/classroom.py --spare NUMBER` makes spare seats. The seat keeps its id:
    the learner logs in with it, and every command takes it. Card, status and board have the
    learner's name. Once the roster has the learner ID, it means this seat, and what it says counts.

    The same again changes nothing, or corrects name, address and group.
    """
    settings = lab_or_exit(as_json=as_json)
    with problems_or_exit(as_json=as_json):
        wanted = _learner(settings, learner, name, email, group)
        # If two commands give the same seat, the second one waits for the first, and then says that
        # the seat is taken, and which seats are free.
        lock.hold(Path(settings.lab_dir) / "lock", _PATIENCE_S)
        changed = _give(settings, spare, wanted)
    if as_json:
        echo_json({"ok": True, "changed": int(changed), "seat": spare, "learner": learner})
        return
    echo(f"{name} has the seat {spare}{'' if changed else ' already'}, and logs in as {spare}")
    echo(f"`sopslab cards {spare}` writes what to hand out")


def _learner(
    settings: Settings, learner: str, name: str, email: str | None, group: str | None
) -> Seat:
    """Return the learner's seat as a roster would have it. Raises InputError with every problem."""
    from sopslab.config.roster_values import CHECKS, default_email, shown
    from sopslab.config.settings import Seat

    values = {"id": learner, "name": name, "email": email, "group": group}
    problems = []
    for key, value in values.items():
        try:
            if value is not None:
                CHECKS[key](value)
        except ValueError as error:
            problems.append(f"{key} {shown(value or '')} is refused: {error}")
    if learner == settings.learner.id:
        problems.append(f"id {shown(learner)} is that of the lab's own learner")
    if problems:
        raise InputError(problems)
    return Seat(id=learner, name=name, email=email or default_email(learner), group=group)


def _give(settings: Settings, spare: str, learner: Seat) -> bool:
    """Give a spare seat to a learner if the seat is ready; return whether anything was changed.
    Raises LabError if the seat is not ready."""
    from sopslab.lab.act.enrolling import record

    recorded = read_enrolled(settings)
    seats = assigned(recorded, spare, learner)
    before, seat = next(pair for pair in zip(recorded, seats, strict=True) if pair[1].id == spare)
    if before.free:
        _refuse_unready(settings, seat)
    if seats != recorded:
        record(settings.for_machine, record_of(seats))
    # Also if the seat was the learner's before: a run that was killed may have left the old page.
    return _renew_page(settings, seat) or seats != recorded


def _refuse_unready(settings: Settings, seat: Enrolled) -> None:
    """Raise LabError unless a seat has its login, its kubeconfig, and its canary in the cluster."""
    from sopslab.cards.sources import gather
    from sopslab.config.environment import at_seat
    from sopslab.lab.observe.access import access_ends
    from sopslab.lab.observe.canaries import canary_states
    from sopslab.lab.observe.handouts import fetchable
    from sopslab.model.canaries import PROVEN

    now = datetime.now(UTC)
    problems = [f"{seat.id}: its time is over, as is that of the class"] * seat.has_ended(now)
    ends, there = access_ends(settings, [seat.id]), fetchable(settings.for_machine)
    gathered = gather(settings, [seat], ends, there)
    problems += [one for found in gathered.problems.values() for one in found]
    state = canary_states(settings.for_machine, [at_seat(seat)]).get(seat.id)
    if state != PROVEN:
        said = "there is no cluster" if state is None else state.said
        problems.append(f"{seat.id}: its canary is not in the cluster: {said}")
    if problems:
        mended = f"`sopslab doctor {seat.id}` says more, and `sopslab up` mends it"
        raise LabError("\n".join([*problems, f"{seat.id} is not ready: {mended}"]))


def _renew_page(settings: Settings, seat: Enrolled) -> bool:
    """Put the learner's name on the page that the Git server shows; return whether that changed the
    page. Raises LabError."""
    from sopslab.cards.card import card_of
    from sopslab.cards.page import own_page
    from sopslab.gitserver.pages import PLACE
    from sopslab.lab.act.handouts import hand_out
    from sopslab.lab.observe.access import access_ends
    from sopslab.lab.observe.certificates import tls_state
    from sopslab.lab.observe.handouts import stale_handouts

    lab = settings.for_machine
    ca = tls_state(lab).ca if settings.networked else None
    end = access_ends(lab, [seat.id]).get(seat.id)
    page = own_page(card_of(settings, seat, None, ca, end), PLACE)
    digests = {seat.id: hashlib.sha256(page.encode()).hexdigest()}
    if not stale_handouts(lab, digests):
        return False
    hand_out(lab, {seat.id: page})
    if stale_handouts(lab, digests):
        raise LabError(
            f"{seat.id} is given to the learner, and its page could not be renewed: run"
            " `sopslab up` once"
        )
    return True
