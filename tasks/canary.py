"""The steps that prove the lab: what was pushed encrypted is in the cluster, decrypted."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import access, flux, seats, suspension
from tasks.git import run_in_cluster
from tasks.roster import enrolment_of, known_environments


@step(Step.CANARY)
def prove_canaries(settings: Settings) -> None:
    """Wait for every canary; if that of the lab's own learner does not arrive, name the broken
    link."""
    shut = enrolment_of(settings).shut
    environments = [one for who, one in known_environments(settings).items() if who not in shut]
    suspension.resumption(
        name="Resume what was suspended", settings=settings, environments=environments
    )
    await_canaries(settings, environments)


@step(Step.CLASS)
def conclude_class(settings: Settings) -> None:
    """Archive the pruned seats, end earlier access, and name the seats that are not ready."""
    enrolment = enrolment_of(settings)
    ids = [seat.id for seat in enrolment.seats]
    if enrolment.archived:
        seats.pruning(name="Archive the seats that go", settings=settings, enrolment=enrolment)
        run_in_cluster(settings)
    if ids:
        access.bindings(
            name="Wait until earlier access is refused",
            settings=settings,
            seats=ids,
            shut=sorted(enrolment.shut),
        )
        seats.report(name="Report the seats", settings=settings, seats=ids)


def await_canaries(settings: Settings, environments: Sequence[Environment]) -> None:
    """Wait until the canaries of these environments are in the cluster."""
    what = "lab-canary" if len(environments) == 1 else f"{len(environments)} canaries"
    if environments:
        flux.canaries(
            name=f"Wait for Flux to decrypt {what}", settings=settings, environments=environments
        )
