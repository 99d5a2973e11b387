"""The step that provides keys: the instructor's, and the one with which the cluster decrypts."""

from __future__ import annotations

from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import age
from tasks.roster import known_environments


@step(Step.KEYS)
def provide_keys(settings: Settings) -> None:
    """Make each identity once, and stop if the key store and the cluster disagree."""
    environments = known_environments(settings).values()
    age.identities(
        name="Make the identities",
        settings=settings,
        keys={INSTRUCTOR: None} | {one.key: one for one in environments},
    )
    trust_recipients(settings)


def trust_recipients(settings: Settings) -> None:
    """Tell the lab's own Git server to which recipients every secret must be encrypted."""
    if settings.git_url is None:
        environments = known_environments(settings).values()
        age.recipients(
            name="Tell the Git server the recipients",
            settings=settings,
            repositories={one.id: one.key for one in environments},
            path=f"{settings.git_dir}/recipients",
        )
