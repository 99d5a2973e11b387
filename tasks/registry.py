"""The step that pushes what a cluster pulls from the lab's registry."""

from __future__ import annotations

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import registry
from tasks.git import server_made_of


@step(Step.ARTIFACTS)
def push_images(settings: Settings) -> None:
    """Push the image of the Git server, with its programs in it."""
    registry.image(
        name=f"Push the Git server to {settings.registry}",
        settings=settings,
        image=pinned_catalog(settings.catalog).git_tag,
        made_of=server_made_of(settings.catalog),
    )
