"""The steps that replace the access of single learners: what they had is worth nothing then."""

from __future__ import annotations

from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import access, seats


@step(Step.ACCESS)
def replace_access(settings: Settings) -> None:
    """Give the subjects another password, and a certificate that names another user."""
    subjects = settings.subjects
    access.replacement(
        name=f"Replace the access of {', '.join(subjects)}", settings=settings, seats=subjects
    )
    access.kubeconfigs(name="Issue new certificates", settings=settings, seats=subjects)


@step(Step.ACCESS)
def prove_access(settings: Settings) -> None:
    """Wait until the old access is refused and the new one works, and name who is left out."""
    access.proof(
        name="Prove that the old access is refused", settings=settings, seats=settings.subjects
    )


@step(Step.CLASS)
def report_access(settings: Settings) -> None:
    """Name the subjects whose access could not be replaced."""
    seats.report(name="Report the seats", settings=settings, seats=settings.subjects)
