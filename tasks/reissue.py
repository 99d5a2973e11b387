"""The steps that replace the access of single learners, so that their old access is refused."""

from __future__ import annotations

from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import access, seats
from tasks.roster import enrolled


@step(Step.ACCESS)
def replace_access(settings: Settings) -> None:
    """Give the learners a new password, and a kubeconfig that makes them another user."""
    learners = settings.learners
    access.replacement(
        name=f"Replace the access of {', '.join(learners)}", settings=settings, seats=learners
    )
    access.kubeconfigs(name="Issue new access to the cluster", settings=settings, seats=learners)
    access.handouts(
        name="Hand out the new access",
        settings=settings,
        roster=[seat for seat in enrolled(settings) if seat.id in learners],
    )


@step(Step.ACCESS)
def prove_access(settings: Settings) -> None:
    """Wait until the old access is refused and the new one works; name the learners for whom that
    fails."""
    access.proof(
        name="Prove that the old access is refused", settings=settings, seats=settings.learners
    )


@step(Step.CLASS)
def report_access(settings: Settings) -> None:
    """Name the learners whose access could not be replaced."""
    seats.report(name="Report the seats", settings=settings, seats=settings.learners)
