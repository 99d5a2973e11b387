"""The step that provides keys: the instructor's, and the one with which the cluster decrypts."""

from __future__ import annotations

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import age
from tasks.roster import enrolled


@step(Step.KEYS)
def provide_keys(settings: Settings) -> None:
    """Make each identity once, and stop where store and cluster disagree."""
    age.identity(name="Make the instructor's identity", settings=settings, key=INSTRUCTOR)
    age.identity(
        name="Make the identity of the environment",
        settings=settings,
        key=settings.learner.id,
        in_cluster=True,
    )
    seats = [seat.id for seat in enrolled(settings)]
    if seats:
        age.identities(
            name=f"Make the identities of {len(seats)} seats", settings=settings, seats=seats
        )
    trust_recipients(settings)


def trust_recipients(settings: Settings) -> None:
    """Tell the lab's own Git server for whom every secret must be encrypted."""
    if settings.git_url is None:
        seats = [seat.id for seat in enrolled(settings)]
        age.trusted(
            name="Tell the Git server the recipients",
            settings=settings,
            repositories={key: key for key in (settings.learner.id, *seats)},
            path=f"{settings.git_dir}/recipients",
        )
