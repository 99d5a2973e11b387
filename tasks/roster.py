"""The step that records who is in a class; on a lab without a class it does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from typing_extensions import override

from sopslab.config.enrolment import Enrolment, enrolment_for
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Enrolled, Settings
from sopslab.model.steps import Step
from sopslab.provision import known
from sopslab.provision.deploys import step
from sopslab.provision.operations import seats


@step(Step.ROSTER)
def enrol_class(settings: Settings) -> None:
    """Record who is enrolled. A learner who is no longer on the roster stays, unless pruned."""
    enrolment = enrolment_of(settings)
    if enrolment.seats or enrolment.archived:
        seats.roster(
            name=f"Record {len(enrolment.seats)} seats", settings=settings, enrolment=enrolment
        )


def enrolled(settings: Settings) -> tuple[Enrolled, ...]:
    """Return everybody who has, or is about to get, a seat; nobody on a lab without a class."""
    return enrolment_of(settings).seats


def enrolment_of(settings: Settings) -> Enrolment:
    """Return what the run does with the seats on the roster and those on the host's record: the
    same for all steps, also if somebody's time ends in between."""
    return _enrolment(_Same(settings), known.enrolled(settings))


class _Same:
    """Settings that equal only themselves. Those of another run may be equal, but it begins at
    another time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.settings is other.settings

    @override
    def __hash__(self) -> int:
        return id(self.settings)


@cache
def _enrolment(given: _Same, recorded: tuple[Enrolled, ...]) -> Enrolment:
    return enrolment_for(given.settings, recorded)


def known_environments(settings: Settings) -> dict[str, Environment]:
    """Return every environment of the lab, by the id of its learner."""
    known = {seat.id: at_seat(seat) for seat in enrolled(settings)}
    return {**known, settings.learner.id: solo(settings)}


def kept_environments(settings: Settings) -> dict[str, Environment]:
    """Return the known environments, and those whose days of grace are over: they exist until `up`
    or `reap` has archived them."""
    ended = {seat.id: at_seat(seat) for seat in enrolment_of(settings).ended}
    return {**ended, **known_environments(settings)}


def counted(environments: Sequence[Environment]) -> str:
    """Return in words which repositories a step is about."""
    if len(environments) == 1:
        return f"the repository {environments[0].repository}"
    return f"{len(environments)} repositories"
