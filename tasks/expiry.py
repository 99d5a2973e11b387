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
    """Have the Git server refuse the learners whose access has ended, and those whose seats this
    run archives, and let in all others."""
    enrolment = enrolment_of(settings)
    git.locks(
        name="Refuse whose access has ended",
        settings=settings,
        # Whatever is pushed after the repository has been archived would be lost.
        users=sorted({*enrolment.shut, *enrolment.archived}),
    )
