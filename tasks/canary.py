"""The step that proves the lab: a secret that was pushed encrypted is in the cluster, decrypted."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import access, flux, seats, suspension
from tasks.roster import enrolment_of, known_environments


@step(Step.CANARY)
def prove_canary(settings: Settings) -> None:
    """Wait for the canary, and name the broken link if it does not arrive."""
    suspension.resumed(
        name="Resume what was suspended",
        settings=settings,
        environments=list(known_environments(settings).values()),
    )
    await_canaries(settings, [solo(settings)])


@step(Step.CLASS)
def prove_class(settings: Settings) -> None:
    """Wait for the canary of every seat, take leave of those pruned, and name who is not ready."""
    enrolment = enrolment_of(settings)
    ids = [seat.id for seat in enrolment.seats]
    if enrolment.pruned:
        seats.pruned(name="Archive the pruned seats", settings=settings, enrolment=enrolment)
    if ids:
        await_canaries(settings, [at_seat(seat) for seat in enrolment.seats])
        access.bound(name="Wait until earlier access is refused", settings=settings, seats=ids)
        seats.reported(name="Report the seats", settings=settings, seats=ids)


def await_canaries(settings: Settings, environments: Sequence[Environment]) -> None:
    """Have the canaries of environments in the cluster."""
    what = "lab-canary" if len(environments) == 1 else f"{len(environments)} canaries"
    if environments:
        flux.canaries(
            name=f"Wait for Flux to decrypt {what}", settings=settings, environments=environments
        )
