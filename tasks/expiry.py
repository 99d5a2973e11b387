"""The step that ends the access of learners whose time is over, between two runs of `up`."""

from __future__ import annotations

from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import git, lab
from tasks.roster import enrolment_of


@step(Step.ACCESS)
def end_access(settings: Settings) -> None:
    """Have the Git server refuse the learners whose access has ended."""
    lab.beginning(name="Forget who failed earlier", settings=settings)
    refuse_ended(settings)


def refuse_ended(settings: Settings) -> None:
    """Have the Git server refuse the learners whose access has ended, and let in all others."""
    git.locks(
        name="Refuse whose access has ended",
        settings=settings,
        users=sorted(enrolment_of(settings).shut),
    )
