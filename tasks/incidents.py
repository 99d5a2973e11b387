"""The step that puts records into the platform repository."""

from __future__ import annotations

from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import incidents


@step(Step.PLATFORM)
def keep_records(settings: Settings) -> None:
    """Commit and push the records that the settings hold."""
    incidents.documents(
        name="Put records into the platform repository",
        settings=settings,
        records=settings.records,
    )
